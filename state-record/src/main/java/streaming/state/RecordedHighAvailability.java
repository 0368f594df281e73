package streaming.state;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.apache.flink.api.common.ApplicationID;
import org.apache.flink.api.common.ApplicationState;
import org.apache.flink.api.common.JobID;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.runtime.blob.BlobStore;
import org.apache.flink.runtime.checkpoint.CheckpointIDCounter;
import org.apache.flink.runtime.checkpoint.CheckpointRecoveryFactory;
import org.apache.flink.runtime.checkpoint.CompletedCheckpointStore;
import org.apache.flink.runtime.checkpoint.StandaloneCompletedCheckpointStore;
import org.apache.flink.runtime.highavailability.ApplicationResultEntry;
import org.apache.flink.runtime.highavailability.ApplicationResultStore;
import org.apache.flink.runtime.highavailability.EmbeddedApplicationResultStore;
import org.apache.flink.runtime.highavailability.HighAvailabilityServices;
import org.apache.flink.runtime.highavailability.JobResultStore;
import org.apache.flink.runtime.highavailability.nonha.embedded.EmbeddedJobResultStore;
import org.apache.flink.runtime.jobmanager.ApplicationStore;
import org.apache.flink.runtime.jobmanager.ExecutionPlanStore;
import org.apache.flink.runtime.jobmanager.StandaloneApplicationStore;
import org.apache.flink.runtime.jobmanager.StandaloneExecutionPlanStore;
import org.apache.flink.runtime.leaderelection.LeaderElection;
import org.apache.flink.runtime.leaderretrieval.LeaderRetrievalService;
import org.apache.flink.runtime.state.SharedStateRegistryFactory;
import org.apache.flink.streaming.api.graph.ExecutionPlan;

/**
 * High availability in which a service of Flink's elects leaders, and nothing else of a job is kept there: whoever
 * leads runs the main method, and what the job starts from is decided then, by the record.
 *
 * <p>Nothing is cleaned up in the election's service: a process whose job ended would take away what others live from.
 */
final class RecordedHighAvailability implements HighAvailabilityServices {
    private final HighAvailabilityServices election;
    private final JobStates states;
    private final JobResultStore results = new EmbeddedJobResultStore();
    private final ApplicationResultStore applicationResults = new ApplicationResults();

    RecordedHighAvailability(HighAvailabilityServices election, JobStates states) {
        this.election = election;
        this.states = states;
    }

    @Override
    public ExecutionPlanStore getExecutionPlanStore() {
        return new StandaloneExecutionPlanStore() {
            @Override
            public void putExecutionPlan(ExecutionPlan plan) {
                states.start(plan);
            }
        };
    }

    @Override
    public CheckpointRecoveryFactory getCheckpointRecoveryFactory() {
        return new CheckpointRecoveryFactory() {
            @Override
            public CompletedCheckpointStore createRecoveredCompletedCheckpointStore(
                    JobID job,
                    int retained,
                    SharedStateRegistryFactory registry,
                    Executor executor,
                    RecoveryClaimMode mode) {
                CompletedCheckpointStore kept =
                        new StandaloneCompletedCheckpointStore(retained, registry, executor, mode);
                return new RecordedCheckpoints(kept, states.started(job));
            }

            @Override
            public CheckpointIDCounter createCheckpointIDCounter(JobID job) {
                return new RisingCounter(states.started(job).highest());
            }
        };
    }

    @Override
    public JobResultStore getJobResultStore() {
        return results;
    }

    @Override
    public ApplicationStore getApplicationStore() {
        return new StandaloneApplicationStore();
    }

    @Override
    public ApplicationResultStore getApplicationResultStore() {
        return applicationResults;
    }

    @Override
    public CompletableFuture<Void> globalCleanupAsync(JobID job, Executor executor) {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public void cleanupAllData() {}

    @Override
    public void close() throws Exception {
        election.close();
    }

    @Override
    public BlobStore createBlobStore() throws IOException {
        return election.createBlobStore();
    }

    @Override
    public LeaderRetrievalService getResourceManagerLeaderRetriever() {
        return election.getResourceManagerLeaderRetriever();
    }

    @Override
    public LeaderRetrievalService getDispatcherLeaderRetriever() {
        return election.getDispatcherLeaderRetriever();
    }

    @Override
    @Deprecated
    public LeaderRetrievalService getJobManagerLeaderRetriever(JobID job) {
        return election.getJobManagerLeaderRetriever(job);
    }

    @Override
    public LeaderRetrievalService getJobManagerLeaderRetriever(JobID job, String address) {
        return election.getJobManagerLeaderRetriever(job, address);
    }

    @Override
    public LeaderRetrievalService getClusterRestEndpointLeaderRetriever() {
        return election.getClusterRestEndpointLeaderRetriever();
    }

    @Override
    public LeaderElection getResourceManagerLeaderElection() {
        return election.getResourceManagerLeaderElection();
    }

    @Override
    public LeaderElection getDispatcherLeaderElection() {
        return election.getDispatcherLeaderElection();
    }

    @Override
    public LeaderElection getJobManagerLeaderElection(JobID job) {
        return election.getJobManagerLeaderElection(job);
    }

    @Override
    public LeaderElection getClusterRestEndpointLeaderElection() {
        return election.getClusterRestEndpointLeaderElection();
    }

    /**
     * Ends the process when its application failed, so that another attempt is made, later and later. Where the job
     * ended by itself or because somebody asked for it, the process goes on leading, and shows the job as it ended.
     */
    private final class ApplicationResults extends EmbeddedApplicationResultStore {
        private volatile boolean failed;

        @Override
        protected void createDirtyResultInternal(ApplicationResultEntry entry) {
            failed = entry.getApplicationResult().getApplicationState() == ApplicationState.FAILED;
            super.createDirtyResultInternal(entry);
        }

        @Override
        protected void markResultAsCleanInternal(ApplicationID application) {
            super.markResultAsCleanInternal(application);
            if (failed && !states.ended()) {
                Ending.exit();
            }
        }
    }
}
