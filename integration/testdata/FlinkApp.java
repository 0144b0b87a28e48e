import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.FileReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * A Flink job that copies the values of the topic "in" to "out" exactly once, in a cluster in this process. The
 * argument is a file of properties: Flink's own, and bootstrap.servers, group.id, naming (of transactional ids), and
 * failure, a file that the job deletes to fail once. Properties of producers begin with "producer.", and those of
 * consumers with "consumer.". SIGTERM stops the job with a savepoint.
 */
public class FlinkApp {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.load(new FileReader(args[0]));
        Map<String, String> flink = new HashMap<>();
        properties.stringPropertyNames().forEach(name -> flink.put(name, properties.getProperty(name)));
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment(Configuration.fromMap(flink));
        env.fromSource(KafkaSource.<String>builder()
                        .setBootstrapServers(properties.getProperty("bootstrap.servers"))
                        .setGroupId(properties.getProperty("group.id"))
                        .setTopics("in")
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setValueOnlyDeserializer(new SimpleStringSchema())
                        .setProperties(with("consumer.", properties))
                        .build(), WatermarkStrategy.noWatermarks(), "in")
                .map(new Copy(properties.getProperty("failure")))
                .sinkTo(KafkaSink.<String>builder()
                        .setBootstrapServers(properties.getProperty("bootstrap.servers"))
                        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                        .setTransactionalIdPrefix(properties.getProperty("group.id"))
                        .setTransactionNamingStrategy(
                                TransactionNamingStrategy.valueOf(properties.getProperty("naming")))
                        .setKafkaProducerConfig(with("producer.", properties))
                        .setRecordSerializer(KafkaRecordSerializationSchema.<String>builder()
                                .setTopic("out")
                                .setKeySerializationSchema(copy -> copy.substring("copy of ".length()).getBytes(UTF_8))
                                .setValueSerializationSchema(new SimpleStringSchema())
                                .build())
                        .build());
        JobClient job = env.executeAsync();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                String savepoints = properties.getProperty("execution.checkpointing.dir") + "/savepoints";
                System.out.println("stopped with " + job.stopWithSavepoint(false, savepoints,
                        SavepointFormatType.CANONICAL).get(1, TimeUnit.MINUTES));
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        job.getJobExecutionResult().get();
    }

    /** Returns the properties whose names have a prefix, without it. */
    static Properties with(String prefix, Properties all) {
        Properties some = new Properties();
        for (String name : all.stringPropertyNames()) {
            if (name.startsWith(prefix)) {
                some.setProperty(name.substring(prefix.length()), all.getProperty(name));
            }
        }
        return some;
    }

    /** Makes copies, and fails if a file exists, which it deletes. */
    static class Copy implements MapFunction<String, String> {
        private final String file;

        Copy(String file) {
            this.file = file;
        }

        @Override
        public String map(String value) throws Exception {
            if (Files.deleteIfExists(Path.of(file))) {
                throw new IllegalStateException("failing once");
            }
            return "copy of " + value;
        }
    }
}
