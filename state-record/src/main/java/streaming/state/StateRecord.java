package streaming.state;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeSet;
import org.apache.flink.core.fs.Path;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.type.TypeReference;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * The record of what each start of a job went on from, and of the newest state since. One directory for each start:
 *
 * <pre>
 * 0000000007/start        what it went on from, and why
 * 0000000007/newest-121   the newest state that this start completed, with its number
 * 0000000007/ended        how the job ended, and its last state
 * </pre>
 *
 * <p>A file that is not whole was being written when its writer died, which told nobody of it: it counts as not there.
 * Numbers of checkpoints never repeat within a record, whatever state a start goes back to.
 */
final class StateRecord {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String NEWEST = "newest-";
    private static final int KEPT = 10; // starts whose directories stay, for whoever asks what happened

    private final Path directory;

    StateRecord(Path directory) {
        this.directory = directory;
    }

    /**
     * A start: what it went on from ({@code state} is null for nothing) and which requests were granted up to then.
     * {@code owned} is false for a state that a person named, which Flink must not delete; {@code highest} is the
     * highest number of a checkpoint that was in use before.
     */
    record Start(long number, String state, boolean owned, long highest, String why, List<String> granted) {}

    /** A completed checkpoint or savepoint. */
    record State(String uri, long id) {}

    /** The end of a job; {@code state} is null where none was kept. */
    record End(String status, String state, String at) {}

    /** All that is known of the newest start. */
    record Line(Start start, Optional<State> newest, Optional<End> end) {
        /** The newest state of the job's own line, or null if it is to begin from nothing. */
        String last() {
            return newest.map(State::uri).orElse(start.state());
        }

        long highest() {
            return Math.max(start.highest(), newest.map(State::id).orElse(0L));
        }
    }

    /** The newest start, or empty if the job has none. */
    Optional<Line> read() throws IOException {
        for (long number : numbers().descendingSet()) {
            Optional<Map<String, Object>> start = json(of(number, "start"));
            if (start.isPresent()) {
                return Optional.of(line(number, start.get()));
            }
        }
        return Optional.empty();
    }

    /** Record a start as the newest one. Fails, and records nothing, where another one came first. */
    Start begin(Optional<Line> before, StartingPoint from) throws IOException {
        NavigableSet<Long> numbers = numbers();
        long number = numbers.isEmpty() ? 1 : numbers.last() + 1;
        if (number > before.map(line -> line.start().number()).orElse(0L) + 1 && whole(number - 1)) {
            throw new IOException("another JobManager recorded start " + (number - 1) + " in the meantime");
        }
        Map<String, Object> content = new LinkedHashMap<>();
        content.put("at", Instant.now().toString());
        content.put("by", System.getenv().getOrDefault("POD_NAME", ""));
        content.put("state", from.state());
        content.put("owned", from.owned());
        content.put("highest", from.highest());
        content.put("why", from.why());
        content.put("granted", from.granted());
        Storage.create(of(number, "start"), JSON.writeValueAsString(content));
        return new Start(number, from.state(), from.owned(), from.highest(), from.why(), from.granted());
    }

    /** Record the newest state of a start. */
    void completed(Start start, State state) throws IOException {
        Map<String, Object> content = new LinkedHashMap<>();
        content.put("at", Instant.now().toString());
        content.put("state", state.uri());
        Storage.create(of(start.number(), NEWEST + state.id()), JSON.writeValueAsString(content));
    }

    /** Forget a state that is not the newest any more. */
    void forget(Start start, State state) throws IOException {
        Path file = of(start.number(), NEWEST + state.id());
        file.getFileSystem().delete(file, false);
    }

    /** Record that the job ended, in this start, by itself or because somebody asked for it. */
    End ended(Start start, String status, String state) throws IOException {
        End end = new End(status, state, Instant.now().toString());
        Map<String, Object> content = new LinkedHashMap<>();
        content.put("at", end.at());
        content.put("status", status);
        content.put("state", state);
        if (json(of(start.number(), "ended")).isEmpty()) {
            Storage.create(of(start.number(), "ended"), JSON.writeValueAsString(content));
        }
        return end;
    }

    /** Whether a later start is recorded: whoever runs this one does not lead any more. */
    boolean superseded(Start start) throws IOException {
        return Storage.written(of(start.number() + 1, "start")).isPresent();
    }

    /** Delete the directories of starts of long ago. What matters of them stands in the later ones. */
    void prune() throws IOException {
        List<Long> all = new ArrayList<>(numbers());
        for (long number : all.subList(0, Math.max(0, all.size() - KEPT))) {
            directory.getFileSystem().delete(new Path(directory, name(number)), true);
        }
    }

    private Line line(long number, Map<String, Object> start) throws IOException {
        List<String> granted = new ArrayList<>();
        for (Object each : (List<?>) start.get("granted")) {
            granted.add((String) each);
        }
        Start first =
                new Start(
                        number,
                        (String) start.get("state"),
                        (Boolean) start.get("owned"),
                        ((Number) start.get("highest")).longValue(),
                        (String) start.get("why"),
                        granted);
        Optional<End> end =
                json(of(number, "ended"))
                        .map(e -> new End((String) e.get("status"), (String) e.get("state"), (String) e.get("at")));
        return new Line(first, newest(number), end);
    }

    private Optional<State> newest(long number) throws IOException {
        List<Long> ids = new ArrayList<>();
        for (Storage.Entry each : Storage.list(new Path(directory, name(number)))) {
            if (each.name().startsWith(NEWEST)) {
                number(each.name().substring(NEWEST.length())).ifPresent(ids::add);
            }
        }
        ids.sort(Comparator.reverseOrder());
        for (long id : ids) {
            Optional<Map<String, Object>> state = json(of(number, NEWEST + id));
            if (state.isPresent()) {
                return Optional.of(new State((String) state.get().get("state"), id));
            }
        }
        return Optional.empty();
    }

    private boolean whole(long number) throws IOException {
        return json(of(number, "start")).isPresent();
    }

    private NavigableSet<Long> numbers() throws IOException {
        NavigableSet<Long> found = new TreeSet<>();
        for (Storage.Entry each : Storage.list(directory)) {
            number(each.name()).ifPresent(found::add);
        }
        return found;
    }

    private static OptionalLong number(String text) {
        boolean digits = !text.isEmpty() && text.length() < 19 && text.chars().allMatch(c -> c >= '0' && c <= '9');
        return digits ? OptionalLong.of(Long.parseLong(text)) : OptionalLong.empty();
    }

    private static String name(long number) {
        return String.format("%010d", number);
    }

    private Path of(long number, String file) {
        return new Path(new Path(directory, name(number)), file);
    }

    /** The content of a file; empty where it is not there, or not whole. */
    private static Optional<Map<String, Object>> json(Path file) throws IOException {
        Optional<String> text = Storage.read(file);
        if (text.isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.ofNullable(JSON.readValue(text.get(), new TypeReference<Map<String, Object>>() {}));
        } catch (JsonProcessingException torn) {
            return Optional.empty();
        }
    }
}
