package streaming.state;

import java.util.List;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.checkpoint.CheckpointsCleaner;
import org.apache.flink.runtime.checkpoint.CompletedCheckpoint;
import org.apache.flink.runtime.checkpoint.CompletedCheckpointStore;
import org.apache.flink.runtime.state.SharedStateRegistry;

/** The completed checkpoints of a job, in memory; each is recorded before anybody is told that it is complete. */
final class RecordedCheckpoints implements CompletedCheckpointStore {
    private final CompletedCheckpointStore checkpoints;
    private final RunningJob job;

    RecordedCheckpoints(CompletedCheckpointStore checkpoints, RunningJob job) {
        this.checkpoints = checkpoints;
        this.job = job;
    }

    @Override
    public CompletedCheckpoint addCheckpointAndSubsumeOldestOne(
            CompletedCheckpoint checkpoint, CheckpointsCleaner cleaner, Runnable afterwards) throws Exception {
        String uri = checkpoint.getExternalPointer();
        if (!job.isStart(uri)) { // which Flink adds as well, when it has restored it
            job.completed(uri, checkpoint.getCheckpointID());
        }
        return checkpoints.addCheckpointAndSubsumeOldestOne(checkpoint, cleaner, afterwards);
    }

    @Override
    public void shutdown(JobStatus status, CheckpointsCleaner cleaner) throws Exception {
        boolean keep = false;
        if (status == JobStatus.FINISHED || status == JobStatus.CANCELED) {
            // What Flink would delete with a job that finished stays, unless a savepoint has it all.
            keep = !job.ended(status == JobStatus.FINISHED);
        }
        checkpoints.shutdown(keep ? JobStatus.SUSPENDED : status, cleaner);
    }

    @Override
    public List<CompletedCheckpoint> getAllCheckpoints() {
        return checkpoints.getAllCheckpoints();
    }

    @Override
    public int getNumberOfRetainedCheckpoints() {
        return checkpoints.getNumberOfRetainedCheckpoints();
    }

    @Override
    public int getMaxNumberOfRetainedCheckpoints() {
        return checkpoints.getMaxNumberOfRetainedCheckpoints();
    }

    @Override
    public boolean requiresExternalizedCheckpoints() {
        return true;
    }

    @Override
    public SharedStateRegistry getSharedStateRegistry() {
        return checkpoints.getSharedStateRegistry();
    }
}
