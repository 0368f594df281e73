package streaming.state;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;

/**
 * Small files on whatever storage Flink knows. Nothing is written over and nothing is renamed: object stores and shared
 * volumes agree on little more.
 *
 * <p>What cannot be read is an error, and never the same as what is not there. Volumes are asked through java.nio, as
 * Flink's own local file system takes both for the same.
 */
final class Storage {
    private Storage() {}

    /** Something in a directory, and when it was last written, in milliseconds. */
    record Entry(Path path, long written) {
        String name() {
            return path.getName();
        }
    }

    /** What is in a directory; nothing where there is no such directory. */
    static List<Entry> list(Path directory) throws IOException {
        List<Entry> entries = new ArrayList<>();
        if (onVolume(directory)) {
            try (DirectoryStream<java.nio.file.Path> found = Files.newDirectoryStream(local(directory))) {
                for (java.nio.file.Path each : found) {
                    Path path = new Path(directory, each.getFileName().toString());
                    entries.add(new Entry(path, Files.getLastModifiedTime(each).toMillis()));
                }
            } catch (NoSuchFileException none) {
                return List.of();
            }
            return entries;
        }
        FileStatus[] found;
        try {
            found = directory.getFileSystem().listStatus(directory);
        } catch (FileNotFoundException none) {
            return List.of();
        }
        for (FileStatus each : found == null ? new FileStatus[0] : found) {
            entries.add(new Entry(each.getPath(), each.getModificationTime()));
        }
        return entries;
    }

    /** When a file was last written, in milliseconds; empty where there is none. */
    static Optional<Long> written(Path file) throws IOException {
        try {
            return Optional.of(
                    onVolume(file)
                            ? Files.getLastModifiedTime(local(file)).toMillis()
                            : file.getFileSystem().getFileStatus(file).getModificationTime());
        } catch (NoSuchFileException | FileNotFoundException none) {
            return Optional.empty();
        }
    }

    /** The text of a file; empty where there is none. */
    static Optional<String> read(Path file) throws IOException {
        if (written(file).isEmpty()) {
            return Optional.empty();
        }
        try (InputStream in = file.getFileSystem().open(file)) {
            return Optional.of(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    /** Write a file that is not there yet, and have it last. Fails where it is there. */
    static void create(Path file, String text) throws IOException {
        FileSystem files = file.getFileSystem();
        files.mkdirs(file.getParent());
        try (FSDataOutputStream out = files.create(file, FileSystem.WriteMode.NO_OVERWRITE)) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
            out.flush();
            if (onVolume(file)) {
                out.sync(); // an object store has its object once the stream is closed
            }
        }
    }

    private static boolean onVolume(Path path) {
        return path.toUri().getScheme() == null || path.toUri().getScheme().equals("file");
    }

    private static java.nio.file.Path local(Path path) {
        return java.nio.file.Path.of(path.getPath());
    }
}
