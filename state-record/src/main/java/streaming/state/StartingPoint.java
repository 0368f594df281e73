package streaming.state;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.apache.flink.core.fs.Path;

/**
 * Decides what a job starts from: the newest state of its own line, what is asked for by name, or nothing at all for a
 * job that has never run. Otherwise the job does not start ({@link Refusal}).
 *
 * @param state URI, or null for nothing
 * @param owned whether Flink may delete it once it is not needed: a state that a person named stays
 * @param why in words, for the log and the record
 * @param granted all requests that were granted so far, this one included
 * @param highest the highest number of a checkpoint in use before
 */
record StartingPoint(String state, boolean owned, String why, List<String> granted, long highest) {
    private static final String NOTHING = "nothing";

    /**
     * @param line what the record has, or empty
     * @param found what lies on the storage
     * @param job id of the job, in 32 hexadecimal digits
     * @param asked the request of the settings (restoreFrom), or ""
     */
    static StartingPoint decide(Optional<StateRecord.Line> line, Leftovers found, String job, String asked)
            throws IOException {
        List<String> granted = new ArrayList<>(line.map(l -> l.start().granted()).orElse(List.of()));
        long highest = line.map(StateRecord.Line::highest).orElse(0L);
        if (!asked.isEmpty() && !granted.contains(asked)) {
            granted.add(asked);
            return asked(asked, granted, Math.max(highest, highestOf(found)));
        }
        if (line.isEmpty()) {
            return first(found, job);
        }
        StateRecord.Line last = line.get();
        if (last.end().isPresent()) {
            throw new Refusal.Ended(ended(last.end().get(), granted));
        }
        if (last.last() != null && !Leftovers.isState(new Path(last.last()))) {
            throw new Refusal(
                    "the newest state of this job, "
                            + last.last()
                            + ", is gone (no _metadata there): bring it back, or set restoreFrom to what to go back to"
                            + others(found));
        }
        String why = last.last() == null ? "it completed no checkpoint before" : "its newest state";
        boolean owned = last.newest().isPresent() || last.start().owned();
        return new StartingPoint(last.last(), owned, why, granted, highest);
    }

    private static StartingPoint asked(String asked, List<String> granted, long highest) throws IOException {
        String uri = uri(asked);
        if (uri.equals(NOTHING)) {
            return new StartingPoint(null, true, "restoreFrom asks for nothing", granted, highest);
        }
        Path state = Leftovers.directory(new Path(uri));
        if (!Leftovers.isState(state)) {
            throw new Refusal(
                    String.format(
                            "restoreFrom: %s is no completed savepoint or checkpoint (no _metadata there): correct it,"
                                    + " or take it out",
                            uri));
        }
        return new StartingPoint(state.toString(), false, "restoreFrom names it", granted, highest);
    }

    /** A job without a record: it never ran, or it ran before there were records. */
    private static StartingPoint first(Leftovers found, String job) throws IOException {
        List<Leftovers.Checkpoint> all = found.checkpoints();
        List<Path> savepoints = found.savepoints();
        if (all.isEmpty() && savepoints.isEmpty()) {
            return new StartingPoint(null, true, "it never ran", List.of(), 0);
        }
        String remedy = ". Set restoreFrom to the state to go on from, or to `nothing`";
        if (all.isEmpty()) {
            throw new Refusal(
                    "this job has no record, and there is " + savepoints.get(savepoints.size() - 1) + remedy);
        }
        Leftovers.Checkpoint latest = all.get(all.size() - 1);
        Leftovers.Checkpoint highest =
                all.stream()
                        .filter(c -> c.job().equals(latest.job()))
                        .max(Comparator.comparingLong(Leftovers.Checkpoint::id))
                        .orElseThrow();
        if (!latest.equals(highest)) {
            throw new Refusal(
                    "this job has no record, and it is not plain which state is the newest: "
                            + latest.uri()
                            + " was written last, "
                            + highest.uri()
                            + " has the highest number"
                            + remedy);
        }
        String why = "the newest checkpoint from before there was a record";
        return new StartingPoint(latest.uri(), latest.job().equals(job), why, List.of(), highestOf(found));
    }

    /** That the job ended, and the request that lets it go on. */
    static String ended(StateRecord.End end, List<String> granted) {
        String request = end.state() == null ? NOTHING : end.state();
        for (int n = 2; granted.contains(request); n++) {
            request = uri(request) + "#" + n;
        }
        String how = end.state() == null ? "To run it again from nothing" : "To go on from its last state";
        return String.format(
                "the job ended (%s, %s) and stays so. %s, set restoreFrom: %s", end.status(), end.at(), how, request);
    }

    private static String others(Leftovers found) throws IOException {
        List<Leftovers.Checkpoint> all = found.checkpoints();
        return all.isEmpty() ? "" : ". There is " + all.get(all.size() - 1).uri();
    }

    private static long highestOf(Leftovers found) throws IOException {
        return found.checkpoints().stream().mapToLong(Leftovers.Checkpoint::id).max().orElse(0);
    }

    /** A request without what only sets it apart from an equal one. */
    private static String uri(String asked) {
        int tag = asked.indexOf('#');
        return tag < 0 ? asked : asked.substring(0, tag);
    }
}
