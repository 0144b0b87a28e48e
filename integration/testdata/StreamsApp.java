import java.io.FileReader;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * A Kafka Streams application whose results show every input that was lost or processed twice. It joins the topics
 * "left" and "right", whose keys are numbers, into "joined", and counts the results by the last digit of the key:
 * "counts" has each count from 1, and "windows" each count from 1 of each window of ten seconds. The arguments are a
 * file of properties and, if given, a prefix of the names of all topics. The application runs until SIGTERM.
 */
public class StreamsApp {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.load(new FileReader(args[0]));
        String prefix = args.length > 1 ? args[1] : "";
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> right = builder.stream(prefix + "right");
        KStream<String, String> joined = builder.<String, String>stream(prefix + "left").join(right, (l, r) -> l + "+" + r,
                JoinWindows.ofTimeDifferenceAndGrace(Duration.ofHours(1), Duration.ofHours(1)));
        joined.to(prefix + "joined");
        KGroupedStream<String, String> digits = joined.selectKey((key, value) -> key.substring(key.length() - 1))
                .repartition(Repartitioned.as("digits")).groupByKey();
        digits.count().toStream().mapValues(String::valueOf).to(prefix + "counts");
        digits.windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofHours(1))).count().toStream()
                .map((key, count) -> KeyValue.pair(key.key() + "@" + key.window().start(), String.valueOf(count)))
                .to(prefix + "windows");

        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.setUncaughtExceptionHandler(e -> {
            System.out.println("replacing a thread after " + e);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("closed " + streams.close(Duration.ofMinutes(1)))));
        streams.start();
    }
}
