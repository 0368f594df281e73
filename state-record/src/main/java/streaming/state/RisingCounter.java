package streaming.state;

import org.apache.flink.runtime.checkpoint.StandaloneCheckpointIDCounter;

/** Numbers of checkpoints above all that were in use before, whatever state the job went back to. */
final class RisingCounter extends StandaloneCheckpointIDCounter {
    private final long highest;

    RisingCounter(long highest) {
        this.highest = highest;
        setCount(highest + 1);
    }

    @Override
    public void setCount(long count) {
        super.setCount(Math.max(count, highest + 1));
    }
}
