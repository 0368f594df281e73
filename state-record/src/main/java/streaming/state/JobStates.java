package streaming.state;

import java.io.IOException;
import java.util.Optional;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.streaming.api.graph.ExecutionPlan;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The state of the one job of this cluster: found and recorded when a JobManager that leads starts it. */
final class JobStates {
    private static final Logger LOG = LoggerFactory.getLogger(JobStates.class);

    private final Configuration configuration;
    private final StateRecord record;
    private final Leftovers leftovers;
    private volatile RunningJob running;
    private volatile boolean ended;

    JobStates(Configuration configuration) {
        this.configuration = configuration;
        record = new StateRecord(new Path(configuration.get(RecordOptions.DIRECTORY)));
        leftovers =
                new Leftovers(
                        new Path(configuration.get(CheckpointingOptions.CHECKPOINTS_DIRECTORY)),
                        new Path(configuration.get(CheckpointingOptions.SAVEPOINT_DIRECTORY)));
    }

    /** Decide what the job of this plan starts from, record it, and write it into the plan. */
    void start(ExecutionPlan plan) {
        ended = false;
        String job = plan.getJobID().toHexString();
        try {
            Optional<StateRecord.Line> before = record.read();
            StartingPoint from =
                    StartingPoint.decide(before, leftovers, job, configuration.get(RecordOptions.RESTORE_FROM));
            StateRecord.Start start = record.begin(before, from);
            record.prune();
            plan.setSavepointRestoreSettings(settings(from));
            running = new RunningJob(job, start, record, leftovers, text -> Ending.say(configuration, text));
            String state = from.state() == null ? "nothing" : from.state();
            Ending.say(configuration, String.format("start %d: from %s (%s)", start.number(), state, from.why()));
        } catch (IOException | RuntimeException error) {
            ended = error instanceof Refusal.Ended;
            boolean refused = error instanceof Refusal;
            String text = refused ? error.getMessage() : "the job's state, or its record, cannot be read: " + error;
            Ending.say(configuration, text);
            throw new IllegalStateException(error.getMessage(), error);
        }
    }

    /** The job as it was started last. Each start is good for one JobMaster. */
    RunningJob started(JobID job) {
        RunningJob started = running;
        if (started == null || !started.job().equals(job.toHexString())) {
            throw new IllegalStateException("job " + job + " was not started by this JobManager");
        }
        return started;
    }

    /** Whether the job does not run because it ended before. */
    boolean ended() {
        return ended;
    }

    private SavepointRestoreSettings settings(StartingPoint from) {
        if (from.state() == null) {
            return SavepointRestoreSettings.none();
        }
        boolean incomplete = configuration.get(StateRecoveryOptions.SAVEPOINT_IGNORE_UNCLAIMED_STATE);
        RecoveryClaimMode mode = from.owned() ? RecoveryClaimMode.CLAIM : RecoveryClaimMode.NO_CLAIM;
        LOG.info("The job starts from {}: {}", from.state(), from.why());
        return SavepointRestoreSettings.forPath(from.state(), incomplete, mode);
    }
}
