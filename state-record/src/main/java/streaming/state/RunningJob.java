package streaming.state;

import java.io.IOException;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.flink.core.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One start of the job, and the record that is kept of it. */
final class RunningJob {
    private static final Logger LOG = LoggerFactory.getLogger(RunningJob.class);

    private final String job;
    private final StateRecord.Start start;
    private final StateRecord record;
    private final Leftovers leftovers;
    private final Consumer<String> say;
    private StateRecord.State newest; // of this start

    /** @param say tells why the job does not run any more */
    RunningJob(
            String job, StateRecord.Start start, StateRecord record, Leftovers leftovers, Consumer<String> say) {
        this.job = job;
        this.start = start;
        this.record = record;
        this.leftovers = leftovers;
        this.say = say;
    }

    String job() {
        return job;
    }

    /** The highest number of a checkpoint that was in use before this start. */
    long highest() {
        return start.highest();
    }

    /** Whether this is the state that the job went on from. */
    boolean isStart(String uri) {
        return start.state() != null && new Path(uri).equals(new Path(start.state()));
    }

    /**
     * Record a checkpoint as the newest state, before anybody is told that it is complete.
     *
     * <p>Where that fails, or another JobManager has started the job since, this process ends: whether the record has it
     * is not known then, and a checkpoint that was discarded must not be in it.
     */
    void completed(String uri, long id) {
        StateRecord.State before = newest;
        try {
            newest = new StateRecord.State(uri, id);
            record.completed(start, newest);
            if (record.superseded(start)) {
                LOG.error("Another JobManager has started the job since: this one does not lead any more, and ends");
                Ending.halt();
            }
            if (before != null) {
                record.forget(start, before);
            }
        } catch (IOException error) {
            LOG.error("Checkpoint {} at {} cannot be recorded: this process ends", id, uri, error);
            Ending.halt();
        }
    }

    /**
     * Record that the job ended.
     *
     * @param finished whether it finished, by itself or with a savepoint; else it was cancelled
     * @return whether its checkpoints are of no use any more, as a savepoint has all
     */
    boolean ended(boolean finished) throws IOException {
        long highest = newest == null ? highest() : newest.id();
        Optional<StateRecord.State> savepoint =
                finished ? leftovers.savepointAbove(job, highest) : Optional.empty();
        String last = newest == null ? start.state() : newest.uri();
        String state = savepoint.map(StateRecord.State::uri).orElse(last);
        StateRecord.End end = record.ended(start, finished ? "FINISHED" : "CANCELED", state);
        say.accept(StartingPoint.ended(end, start.granted()));
        return savepoint.isPresent();
    }
}
