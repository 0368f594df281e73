import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.storage.internals.log.LogConfig;

/**
 * Answers whether Kafka takes a topic's configs: one request and one answer a line, in one JVM.
 *
 * <p>Request: names and values in turn, each in Base64 (an empty text is "-"); none asks for the names that there are.
 * Answer: "answer: ok TEXT" or "answer: refused TEXT", the text in Base64.
 */
public class KafkaOracle {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                if (line.isEmpty()) {
                    answer = "ok " + encode(String.join(" ", LogConfig.nonInternalConfigNames()));
                } else {
                    String[] words = line.split(" ");
                    Properties asked = new Properties();
                    for (int i = 0; i < words.length; i += 2) {
                        asked.put(decode(words[i]), decode(words[i + 1]));
                    }
                    // Of the broker some config, or what needs remote storage is not looked at.
                    LogConfig.validate(Map.of(), asked, Map.of("log.dirs", "/tmp"), false);
                    answer = "ok " + encode("taken");
                }
            } catch (Exception e) {
                answer = "refused " + encode(String.valueOf(e));
            }
            System.out.println("answer: " + answer);
            System.out.flush();
        }
    }

    private static String encode(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String decode(String text) {
        return text.equals("-") ? "" : new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
    }
}
