import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Collectors;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.utils.Utils;

import scala.collection.IterableOnceOps;

/**
 * Prints what Java, Scala and Kafka's own classes make of given values: hash codes, the order in
 * which collections are iterated, and text. Each line has the class, the input and the output,
 * separated by tabs; elements are separated by spaces, and inputs are in the order of insertion.
 * values.txt is what it printed with the jars of Kafka 3.9.1 (Scala 2.13.15) on Java 17:
 *
 *   java -cp "$(scripts/kafka-jars.sh)/*" internal/javatext/testdata/JavaText.java >internal/javatext/testdata/values.txt
 */
@SuppressWarnings({"unchecked", "rawtypes"})
public class JavaText {
    static void print(String kind, String input, Object output) {
        System.out.println(kind + "\t" + input + "\t" + output);
    }

    static String join(Collection<?> keys) {
        return keys.stream().map(String::valueOf).collect(Collectors.joining(" "));
    }

    static String join(Object scalaCollection) {
        return ((IterableOnceOps) scalaCollection).mkString(" ");
    }

    static void orders(List<?> keys) {
        String input = join(keys);
        Map<Object, Object> map = new HashMap<>();
        HashSet<Object> set = new HashSet<>();
        scala.collection.mutable.HashMap mutableMap = new scala.collection.mutable.HashMap();
        scala.collection.mutable.HashSet mutableSet = new scala.collection.mutable.HashSet();
        scala.collection.immutable.Map immutableMap = (scala.collection.immutable.Map) scala.collection.immutable.Map$.MODULE$.empty();
        scala.collection.immutable.Set immutableSet = (scala.collection.immutable.Set) scala.collection.immutable.Set$.MODULE$.empty();
        for (Object key : keys) {
            map.put(key, "");
            set.add(key);
            mutableMap.put(key, "");
            mutableSet.add(key);
            immutableMap = (scala.collection.immutable.Map) immutableMap.updated(key, "");
            immutableSet = (scala.collection.immutable.Set) immutableSet.incl(key);
        }
        Map<Object, Object> copy = new HashMap<>(keys.size());
        map.forEach(copy::put);

        String kind = keys.get(0) instanceof Integer ? "ints" : "strings";
        print("java.util.HashMap of " + kind, input, join(map.keySet()));
        same(join(map.keySet()), join(set));
        print("copied java.util.HashMap of " + kind, input, join(copy.keySet()));
        print("scala.collection.mutable.HashMap of " + kind, input, join(mutableMap.keysIterator()));
        same(join(mutableMap.keysIterator()), join(mutableSet));
        print("scala.collection.immutable.Set of " + kind, input, join(immutableSet));
        same(join(immutableMap.keysIterator()), join(immutableSet));
        if (keys.size() == 4 || keys.size() == 5) {
            print("scala.collection.immutable.Set.toString of " + kind, input, immutableSet);
        }
        if (kind.equals("strings")) {
            Properties properties = new Properties();
            for (Object key : keys) {
                properties.setProperty((String) key, "");
            }
            print("java.util.Properties", input, join(properties.keySet()));
        }
    }

    static void same(String a, String b) {
        if (!a.equals(b)) {
            throw new IllegalStateException("maps and sets differ: " + a + "\n" + b);
        }
    }

    /** Returns names whose hash codes end with the given bits, so that they share a slot. */
    static List<String> sharing(int count, int slots, int slot) {
        List<String> names = new ArrayList<>();
        for (int i = 0; names.size() < count; i++) {
            String name = "k" + i;
            int hash = name.hashCode();
            if (((hash ^ hash >>> 16) & slots - 1) == slot) {
                names.add(name);
            }
        }
        return names;
    }

    /** Returns names that all have the same hash code. */
    static List<String> colliding(int count) {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            StringBuilder name = new StringBuilder();
            for (int bit = 0; bit < 4; bit++) {
                name.append((i >> bit & 1) == 0 ? "Aa" : "BB");
            }
            names.add(name.toString());
        }
        return names;
    }

    static void bothWays(List<?> keys) {
        orders(keys);
        List<Object> reversed = new ArrayList<>(keys);
        Collections.reverse(reversed);
        orders(reversed);
    }

    static List<String> words(String text) {
        return Arrays.asList(text.split(" "));
    }

    static List<Object> of(List<?> first, List<?> second) {
        List<Object> all = new ArrayList<>(first);
        all.addAll(second);
        return all;
    }

    static List<Integer> numbers(int from, int count, int step) {
        List<Integer> numbers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            numbers.add(from + i * step);
        }
        return numbers;
    }

    static List<String> numbered(int count) {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            names.add("t-" + i);
        }
        return names;
    }

    public static void main(String[] unused) throws Exception {
        System.setOut(new java.io.PrintStream(System.out, true, "UTF-8"));
        for (String s : words("a Hello orders t1 cc-12 Aa BB é 日本語 \uFFFD \uFFFF 😀 a😀b console-consumer-1 polygenelubricants __consumer_offsets")) {
            print("String.hashCode", s, s.hashCode());
            print("Utils.abs(String.hashCode)", s, Utils.abs(s.hashCode()));
            print("String.length", s, s.length());
            print("TopicPartition.hashCode", s + " 7", new TopicPartition(s, 7).hashCode());
        }

        bothWays(words("Aa BB"));
        bothWays(words("q a p b"));
        bothWays(words("one placed strict"));
        bothWays(words("b p a q r"));
        bothWays(words("a b c d e f g h i j k"));
        bothWays(words("a b c d e f g h i j k q"));
        bothWays(words("x 😀 é 日本語 \uFFFF a😀b"));
        bothWays(numbered(23));
        bothWays(numbered(24));
        bothWays(numbered(25));
        orders(numbered(60));
        orders(numbers(0, 13, 1).stream().map(String::valueOf).collect(Collectors.toList()));
        bothWays(new ArrayList<>(new TreeSet<>(topicKeys())));

        // Java doubles a table of fewer than 64 slots if nine keys share a slot.
        bothWays(colliding(8));
        bothWays(colliding(9));
        bothWays(of(colliding(9), words("a q b r")));
        bothWays(of(words("a q b r"), colliding(9)));
        bothWays(sharing(8, 16, 3));
        bothWays(sharing(9, 16, 3));
        bothWays(sharing(10, 16, 3));
        bothWays(of(sharing(9, 32, 5), words("a b c d e f g h i j k l m n o p q r")));
        bothWays(of(words("a b c d e f g h i j k l m n o p q r"), sharing(9, 32, 5)));

        for (int n : new int[] {1, 2, 3, 4, 5, 6, 11, 12, 13, 20, 40}) {
            orders(numbers(0, n, 1));
        }
        bothWays(Arrays.asList(17, 1, 16, 0));
        bothWays(numbers(1000, 12, 1));
        bothWays(numbers(0, 8, 100));
        bothWays(numbers(0, 9, 16));
        bothWays(Arrays.asList(Integer.MIN_VALUE, -1, 0, 65536, 65537, Integer.MAX_VALUE, 1, -65536));

        Random random = new Random(1);
        for (int round = 0; round < 60; round += 3) {
            List<String> names = new ArrayList<>();
            while (names.size() < 1 + round) {
                StringBuilder name = new StringBuilder();
                for (int i = 1 + random.nextInt(3); i > 0; i--) {
                    name.append((char) ('a' + random.nextInt(6)));
                }
                if (!names.contains(name.toString())) {
                    names.add(name.toString());
                }
            }
            orders(names);
        }

        print("java.util.List.toString", "", List.of());
        print("java.util.List.toString", "2 0 1", List.of(2, 0, 1));
        print("scala.List.toString", "", scalaList(List.of()));
        print("scala.List.toString", "2 0 1", scalaList(List.of(2, 0, 1)));
        print("scala.collection.mutable.HashMap.toString", "b 1 a 2", mutableMap("b", 1, "a", 2));
        print("scala.Option.toString", "", scala.Option.apply(null));
        print("scala.Option.toString", "x", scala.Option.apply("x"));

        for (String hex : words("00000000000000000000000000000000 ffff0100000000000000000000000000 000102030405060708090a0b0c0d0e0f fbefbefbefbefbefbefbefbefbefbefb")) {
            Uuid id = new Uuid(Long.parseUnsignedLong(hex.substring(0, 16), 16), Long.parseUnsignedLong(hex.substring(16), 16));
            print("Uuid.toString", hex, id);
        }

        for (double d : new double[] {0, -0.0, 1, -1.5, 0.5, 0.9, 0.1, 0.001, 0.0001, 1.5e-10, 1234567, 9999999, 1e7, 12345678, 1e21,
            Double.MAX_VALUE, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
            print("Double.toString", Long.toHexString(Double.doubleToLongBits(d)), d);
        }
        for (float f : new float[] {0, -0f, 1, 0.1f, 0.001f, 1e7f, 1.5e-10f, Float.MAX_VALUE, Float.NaN}) {
            print("Float.toString", Integer.toHexString(Float.floatToIntBits(f)), f);
        }

        // Bytes that are not UTF-8, as new String decodes them.
        for (String hex : words("61c3a9 61ff62 61ffff62 e282 e28261 e282ac f09f98 f09f9861 f09f9880 c0af e08080 e080 eda080 edbfbf eda0 eda061 ed80 f5808080 f4908080 f0808080 80 8080 c3 c3c3 c3a9c3 e2e2 e2c3a9 f0c3a9 f09f61 fcfdfeff e19fe19f")) {
            print("new String", hex, new String(bytes(hex), StandardCharsets.UTF_8));
        }
    }

    static List<String> topicKeys() throws IllegalAccessException {
        List<String> keys = new ArrayList<>();
        for (java.lang.reflect.Field field : TopicConfig.class.getFields()) {
            if (field.getName().endsWith("_CONFIG")) {
                keys.add((String) field.get(null));
            }
        }
        return keys;
    }

    static Object scalaList(List<?> items) {
        return scala.jdk.javaapi.CollectionConverters.asScala(items).toList();
    }

    static Object mutableMap(Object... entries) {
        scala.collection.mutable.HashMap map = new scala.collection.mutable.HashMap();
        for (int i = 0; i < entries.length; i += 2) {
            map.put(entries[i], entries[i + 1]);
        }
        return map;
    }

    static byte[] bytes(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }
}
