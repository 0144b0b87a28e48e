import java.io.FileReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.BatchMessageListener;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DefaultAfterRollbackProcessor;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.transaction.KafkaTransactionManager;
import org.springframework.util.backoff.FixedBackOff;

/**
 * An application of Spring for Apache Kafka that copies the values of the topic "in" to "out" in transactions. It
 * fails after each fifth batch, so that its transaction is aborted and the batch processed again. A listener whose
 * producer is fenced is started again, from its committed offsets. The argument is a file of properties:
 * transactional.id, a prefix, and group.id, concurrency, and properties of clients. The application runs until SIGTERM.
 */
public class SpringApp {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.load(new FileReader(args[0]));
        Map<String, Object> clients = new HashMap<>();
        properties.stringPropertyNames().forEach(name -> clients.put(name, properties.getProperty(name)));
        String prefix = (String) clients.remove("transactional.id");
        int concurrency = Integer.parseInt((String) clients.remove("concurrency"));

        DefaultKafkaProducerFactory<String, String> producers =
                new DefaultKafkaProducerFactory<>(clients, new StringSerializer(), new StringSerializer());
        producers.setTransactionIdPrefix(prefix);
        KafkaTemplate<String, String> template = new KafkaTemplate<>(producers);
        AtomicInteger batches = new AtomicInteger();
        List<KafkaMessageListenerContainer<String, String>> listeners = new ArrayList<>();
        for (int i = 0; i < concurrency; i++) {
            ContainerProperties container = new ContainerProperties("in");
            container.setKafkaAwareTransactionManager(new KafkaTransactionManager<>(producers));
            container.setStopContainerWhenFenced(true); // otherwise it continues after the batch, which is then lost
            container.setMessageListener((BatchMessageListener<String, String>) records -> {
                for (ConsumerRecord<String, String> record : records) {
                    template.send("out", record.value(), "copy of " + record.value());
                }
                if (batches.incrementAndGet() % 5 == 0) {
                    throw new IllegalStateException("failing on purpose");
                }
            });
            KafkaMessageListenerContainer<String, String> listener = new KafkaMessageListenerContainer<>(
                    new DefaultKafkaConsumerFactory<>(clients, new StringDeserializer(), new StringDeserializer()), container);
            listener.setAfterRollbackProcessor(
                    new DefaultAfterRollbackProcessor<>(new FixedBackOff(0, FixedBackOff.UNLIMITED_ATTEMPTS)));
            listeners.add(listener);
        }
        AtomicBoolean stopping = new AtomicBoolean();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping.set(true);
            listeners.forEach(KafkaMessageListenerContainer::stop);
            producers.destroy();
            System.out.println("stopped after " + batches + " batches");
        }));
        while (!stopping.get()) {
            for (KafkaMessageListenerContainer<String, String> listener : listeners) {
                if (!listener.isRunning() && !listener.isChildRunning()) {
                    listener.start();
                }
            }
            Thread.sleep(100);
        }
    }
}
