package streaming.state;

import java.io.DataInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.checkpoint.Checkpoints;

/** The completed checkpoints and savepoints that lie on the storage, whoever owns them. */
final class Leftovers {
    private static final String METADATA = "_metadata";

    private final Path checkpoints;
    private final Path savepoints;

    Leftovers(Path checkpoints, Path savepoints) {
        this.checkpoints = checkpoints;
        this.savepoints = savepoints;
    }

    /** A completed checkpoint: of which job, with which number, written when (milliseconds). */
    record Checkpoint(String job, long id, long written, String uri) {}

    /** All completed checkpoints of all jobs, the latest one last. */
    List<Checkpoint> checkpoints() throws IOException {
        List<Checkpoint> found = new ArrayList<>();
        for (Storage.Entry job : Storage.list(checkpoints)) {
            for (Storage.Entry each : Storage.list(job.path())) {
                if (!each.name().matches("chk-\\d{1,18}")) {
                    continue;
                }
                long id = Long.parseLong(each.name().substring("chk-".length()));
                Storage.written(new Path(each.path(), METADATA))
                        .ifPresent(at -> found.add(new Checkpoint(job.name(), id, at, each.path().toString())));
            }
        }
        found.sort(Comparator.comparingLong(Checkpoint::written).thenComparingLong(Checkpoint::id));
        return found;
    }

    /** All completed savepoints, whatever job they are of, the latest one last. */
    List<Path> savepoints() throws IOException {
        List<Storage.Entry> found = new ArrayList<>();
        for (Storage.Entry each : Storage.list(savepoints)) {
            if (each.name().startsWith("savepoint-") && isState(each.path())) {
                found.add(each);
            }
        }
        found.sort(Comparator.comparingLong(Storage.Entry::written));
        return found.stream().map(Storage.Entry::path).toList();
    }

    /** The savepoint of a job with the highest number above this one. */
    Optional<StateRecord.State> savepointAbove(String job, long id) throws IOException {
        StateRecord.State highest = null;
        for (Path each : savepoints()) {
            if (each.getName().startsWith("savepoint-" + job.substring(0, 6) + "-")) {
                long number = number(each);
                if (number > (highest == null ? id : highest.id())) {
                    highest = new StateRecord.State(each.toString(), number);
                }
            }
        }
        return Optional.ofNullable(highest);
    }

    /** The directory of a checkpoint or savepoint, which may be named by its metadata file as well. */
    static Path directory(Path named) {
        return named.getName().equals(METADATA) ? named.getParent() : named;
    }

    /** Whether a directory is a completed checkpoint or savepoint. */
    static boolean isState(Path directory) throws IOException {
        return Storage.written(new Path(directory, METADATA)).isPresent();
    }

    private static long number(Path savepoint) throws IOException {
        Path metadata = new Path(savepoint, METADATA);
        try (DataInputStream in = new DataInputStream(metadata.getFileSystem().open(metadata))) {
            ClassLoader loader = Leftovers.class.getClassLoader();
            return Checkpoints.loadCheckpointMetadata(in, loader, savepoint.toString()).getCheckpointId();
        }
    }
}
