import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs many of Kafka's tools one after the other in one process, since each process would take a
 * second to start. Reads commands from stdin and runs each as soon as it has been read. A command ends with the byte 1e and consists of fields
 * that end with the byte 1f: class, text for the tool's stdin, text to wait for on its stdout,
 * arguments. Prints one line per command: exit code, stdout and stderr, the latter two in base64.
 */
public class ToolRunner {
    public static void main(String[] unused) throws Exception {
        InputStream commands = new BufferedInputStream(System.in);
        PrintStream results = System.out;
        System.setOut(new PrintStream(out, true));
        System.setErr(new PrintStream(err, true));
        for (String command = next(commands); command != null; command = next(commands)) {
            String[] fields = command.split("\u001f", -1);
            String result = "";
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            do {
                result = run(fields[0], fields[1], Arrays.copyOfRange(fields, 3, fields.length - 1));
            } while (!text(result).contains(fields[2]) && System.nanoTime() < deadline);
            results.println(result);
            results.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    /** Reads a command without its end. Returns null if there are no more. */
    private static String next(InputStream commands) throws IOException {
        ByteArrayOutputStream command = new ByteArrayOutputStream();
        for (int b = commands.read(); b >= 0; b = commands.read()) {
            if (b == 0x1e) return command.toString(StandardCharsets.UTF_8);
            command.write(b);
        }
        return null;
    }

    /** Scala keeps the first streams that it sees, so these stay and only the buffers behind them change. */
    private static final Switch out = new Switch(), err = new Switch();

    private static class Switch extends OutputStream {
        private volatile ByteArrayOutputStream now = new ByteArrayOutputStream();

        @Override public void write(int b) { now.write(b); }

        @Override public void write(byte[] b, int from, int n) { now.write(b, from, n); }

        String take() {
            byte[] text = now.toByteArray();
            now = new ByteArrayOutputStream();
            return Base64.getEncoder().encodeToString(text);
        }
    }

    /** Returns the stdout in a result. */
    private static String text(String result) {
        return new String(Base64.getDecoder().decode(result.split(" ", -1)[1]), StandardCharsets.UTF_8);
    }

    /** Runs a tool. A thread that exits is parked for good instead, and its shutdown hooks run here. */
    private static String run(String className, String stdin, String[] args) throws Exception {
        InputStream in = new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8));
        System.setIn(in);
        AtomicInteger code = new AtomicInteger(0);
        CountDownLatch ended = new CountDownLatch(1);
        List<Runnable> hooks = Collections.synchronizedList(new ArrayList<>());
        Exit.Procedure exit = (status, message) -> {
            if (ended.getCount() > 0) code.set(status);
            ended.countDown();
            while (true) LockSupport.park();
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        Thread tool = new Thread(() -> {
            try {
                Class.forName(className).getMethod("main", String[].class).invoke(null, (Object) args);
            } catch (InvocationTargetException e) { // as Java does with an exception of main
                System.err.print("Exception in thread \"main\" ");
                e.getCause().printStackTrace();
                code.set(1);
            } catch (Throwable t) {
                t.printStackTrace();
                code.set(1);
            }
            ended.countDown();
        });
        tool.setDaemon(true);
        tool.start();
        if (!ended.await(60, TimeUnit.SECONDS)) code.set(-1);
        for (Runnable hook : hooks) hook.run();
        System.out.flush();
        System.err.flush();
        return code.get() + " " + out.take() + " " + err.take() + " .";
    }
}
