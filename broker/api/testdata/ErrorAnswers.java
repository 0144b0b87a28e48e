import java.io.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.*;

/** Prints what a Java broker answers when the handler of a request fails: one request of each key and version, three causes. */
public class ErrorAnswers {
    public static void main(String[] args) throws Exception {
        Map<String, Integer> seen = new HashMap<>();
        for (String line : Files.readAllLines(Paths.get(args[0]))) {
            String[] f = line.split(" ");
            if (!f[2].equals("req")) continue;
            short key = Short.parseShort(f[0]), version = Short.parseShort(f[3]);
            if (seen.merge(key + "/" + version, 1, Integer::sum) > 2) continue;
            byte[] body = f.length > 4 ? HexFormat.of().parseHex(f[4]) : new byte[0];
            String[] names = {"generic", "specific", "unknown"};
            Throwable[] causes = {new NotControllerException(Errors.NOT_CONTROLLER.message()), new InvalidRequestException("what was wrong"), new RuntimeException("secret")};
            for (int i = 0; i < 3; i++) {
                String out;
                try {
                    AbstractRequest req = AbstractRequest.parseRequest(ApiKeys.forId(key), version, ByteBuffer.wrap(body)).request;
                    AbstractResponse resp = req.getErrorResponse(7, causes[i]);
                    if (resp == null) out = "none";
                    else {
                        ByteBuffer b = MessageUtil.toByteBuffer(resp.data(), version);
                        byte[] bytes = new byte[b.remaining()]; b.get(bytes);
                        out = HexFormat.of().formatHex(bytes);
                    }
                } catch (Throwable t) {
                    System.err.println(key + " " + version + " " + t);
                    continue;
                }
                System.out.println(key + " " + f[1] + " " + version + " " + names[i] + " " + (body.length == 0 ? "-" : f[4]) + " " + (out.isEmpty() ? "-" : out));
            }
        }
    }
}
