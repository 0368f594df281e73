package streaming.jobs;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Scores claims; what cannot be scored goes to {@link #DEAD_LETTERS}.
 *
 * <p>Nothing in a record or its payload fails the job: after the restart it would be read again and fail again. What
 * does fail it is what a restart can cure: an Error of the JVM, lost state, a sink that cannot write.
 */
final class ScoringFunction extends ProcessFunction<byte[], Result> implements CheckpointedFunction {

    static final OutputTag<DeadLetter> DEAD_LETTERS =
            new OutputTag<>("dead-letters", TypeInformation.of(DeadLetter.class));

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(ScoringFunction.class);
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private final long maxPayloadBytes;
    private final int workMillis;

    private transient ListState<ScoringModel> checkpointed;
    private transient ScoringModel model;
    private transient PayloadReader payloads;
    private transient Counter deadLetters;

    ScoringFunction(long maxPayloadBytes, int workMillis) {
        this.maxPayloadBytes = maxPayloadBytes;
        this.workMillis = workMillis;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        checkpointed = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>("scoring-model", TypeInformation.of(ScoringModel.class)));
        model = ScoringModel.EMPTY;
        for (ScoringModel part : checkpointed.get()) {
            model = model.merge(part);
        }
        if (context.isRestored()) {
            LOG.info("Restored a model over {} claims", model.count());
        }
    }

    /**
     * In so many parts that each subtask finds at least one at the largest parallelism the job can be rescaled to:
     * Flink deals the parts of all subtasks out evenly, so that a new subtask does not start without a model.
     */
    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        int parallelism = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        int maxParallelism = getRuntimeContext().getTaskInfo().getMaxNumberOfParallelSubtasks();
        checkpointed.update(model.split((maxParallelism + parallelism - 1) / parallelism));
    }

    @Override
    public void open(OpenContext context) {
        payloads = new PayloadReader(maxPayloadBytes);
        deadLetters = getRuntimeContext().getMetricGroup().counter("deadLetters");
        getRuntimeContext().getMetricGroup().gauge("claims", () -> model.count());
    }

    @Override
    public void processElement(byte[] record, Context context, Collector<Result> out) throws Exception {
        burn();
        try {
            Claim claim = Claim.parse(record);
            Payload payload = payloads.read(claim.location());
            double score = model.score(payload.entropy());
            model = model.add(payload.entropy());
            out.collect(new Result(
                    claim.id(), claim.location(), claim.name(), payload.bytes(), score, model.count()));
        } catch (RejectedClaimException rejection) {
            deadLetters.inc();
            context.output(DEAD_LETTERS, DeadLetter.of(record, rejection));
        }
    }

    /** By CPU time, not by the clock: on a throttled CPU a record must not get cheaper. */
    private void burn() {
        if (workMillis > 0) {
            long end = THREADS.getCurrentThreadCpuTime() + TimeUnit.MILLISECONDS.toNanos(workMillis);
            while (THREADS.getCurrentThreadCpuTime() < end) {
                Thread.onSpinWait();
            }
        }
    }
}
