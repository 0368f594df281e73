import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.jar.JarFile;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.FallbackKey;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.runtime.util.bash.BashJavaUtils;

/**
 * Answers what Flink makes of a config.yaml: one request and one answer a line, in one JVM, because a JVM for each
 * configuration takes a second.
 *
 * <p>Request: a command and the file in Base64. Answer: "answer: ok TEXT" or "answer: refused TEXT", the text in Base64.
 * Commands: those of BashJavaUtils (its result lines); read (key and value in Base64, a line each, as Flink reads them);
 * options (for each key the older names of its option, after its value was read as the type that the option has).
 */
public class FlinkOracle {
    private static final PrintStream OUT = System.out;

    public static void main(String[] args) throws Exception {
        Path directory = Files.createTempDirectory("flink-oracle");
        Path file = directory.resolve("config.yaml");
        Map<String, ConfigOption<?>> options = null;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] request = line.split(" ");
            String answer;
            try {
                Files.write(file, Base64.getDecoder().decode(request.length > 1 ? request[1] : ""));
                String text;
                if (request[0].equals("read")) {
                    text = read(GlobalConfiguration.loadConfiguration(directory.toString()));
                } else if (request[0].equals("options")) {
                    options = options == null ? allOptions() : options;
                    text = describe(GlobalConfiguration.loadConfiguration(directory.toString()), options);
                } else {
                    text = bashJavaUtils(request[0], directory.toString());
                }
                answer = "ok " + encode(text);
            } catch (Exception e) {
                answer = "refused " + encode(String.valueOf(e));
            }
            OUT.println("answer: " + answer);
            OUT.flush();
        }
        Files.deleteIfExists(file);
        Files.delete(directory);
    }

    private static String bashJavaUtils(String command, String directory) throws Exception {
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        System.setOut(new PrintStream(captured, true, StandardCharsets.UTF_8));
        try {
            BashJavaUtils.main(new String[] {command, "--configDir", directory});
        } finally {
            System.setOut(OUT);
        }
        return captured.toString(StandardCharsets.UTF_8);
    }

    private static String read(Configuration configuration) {
        StringJoiner lines = new StringJoiner("\n");
        configuration.toMap().forEach((key, value) -> lines.add(encode(key) + " " + encode(value)));
        return lines.toString();
    }

    private static String describe(Configuration configuration, Map<String, ConfigOption<?>> options) {
        StringJoiner lines = new StringJoiner("\n");
        for (String key : configuration.keySet()) {
            ConfigOption<?> option = options.get(key);
            if (option == null) {
                throw new IllegalArgumentException("no option of Flink has the key " + key);
            }
            configuration.get(option);
            StringJoiner names = new StringJoiner(" ");
            names.add(key);
            for (FallbackKey fallback : option.fallbackKeys()) {
                names.add(fallback.getKey());
            }
            lines.add(names.toString());
        }
        return lines.toString();
    }

    /** Every option that a class named ...Options in flink-dist declares, by its key. */
    private static Map<String, ConfigOption<?>> allOptions() throws Exception {
        File dist = new File(ConfigOption.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Map<String, ConfigOption<?>> options = new TreeMap<>();
        try (JarFile jar = new JarFile(dist)) {
            for (String name : jar.stream().map(entry -> entry.getName()).toList()) {
                if (!name.startsWith("org/apache/flink/") || !name.endsWith("Options.class")) {
                    continue;
                }
                Class<?> type;
                try {
                    type = Class.forName(name.replace('/', '.').substring(0, name.length() - ".class".length()));
                } catch (LinkageError e) {
                    continue; // needs a library that is not in flink-dist, so not an option of a plain cluster
                }
                for (Field field : type.getDeclaredFields()) {
                    if (Modifier.isStatic(field.getModifiers()) && ConfigOption.class.equals(field.getType())) {
                        field.setAccessible(true);
                        ConfigOption<?> option = (ConfigOption<?>) field.get(null);
                        options.put(option.key(), option);
                    }
                }
            }
        }
        return options;
    }

    private static String encode(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
