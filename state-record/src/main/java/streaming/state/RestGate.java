package streaming.state;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.io.network.netty.InboundChannelHandlerFactory;
import org.apache.flink.shaded.netty4.io.netty.buffer.Unpooled;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelFutureListener;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandler;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandlerContext;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelInboundHandlerAdapter;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.DefaultFullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.FullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpHeaderNames;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpMethod;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpRequest;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpResponseStatus;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpVersion;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.QueryStringDecoder;
import org.apache.flink.shaded.netty4.io.netty.util.ReferenceCountUtil;

/**
 * Lets through to Flink's REST API what only reads, and from whoever has the cluster's token anything. No option of
 * Flink refuses a stop, a cancellation, a shutdown or the deletion of a savepoint: web.cancel.enable hides a button.
 */
public final class RestGate implements InboundChannelHandlerFactory {
    static final String HEADER = "X-Platform-Token";

    @Override
    public int priority() {
        return 0;
    }

    @Override
    public Optional<ChannelHandler> createHandler(Configuration configuration, Map<String, String> headers) {
        boolean guarded = configuration.getOptional(RecordOptions.DIRECTORY).isPresent();
        return guarded ? Optional.of(new Gate(configuration)) : Optional.empty();
    }

    private static final class Gate extends ChannelInboundHandlerAdapter {
        private final Configuration configuration;

        Gate(Configuration configuration) {
            this.configuration = configuration;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            if (message instanceof HttpRequest request && !reads(request) && !knows(request)) {
                ReferenceCountUtil.release(message);
                refuse(context);
            } else {
                context.fireChannelRead(message);
            }
        }

        /** Whether a request changes nothing. Two old routes of GET cancel and stop a job. */
        private static boolean reads(HttpRequest request) {
            String path = new QueryStringDecoder(request.uri()).path().toLowerCase(Locale.ROOT);
            boolean asks = request.method().equals(HttpMethod.GET) || request.method().equals(HttpMethod.HEAD);
            return asks && !path.contains("/yarn-");
        }

        private boolean knows(HttpRequest request) {
            String given = request.headers().get(HEADER);
            if (given == null) {
                return false;
            }
            try {
                byte[] wanted = Token.read(configuration).getBytes(StandardCharsets.UTF_8);
                return MessageDigest.isEqual(wanted, given.getBytes(StandardCharsets.UTF_8));
            } catch (IOException unreadable) {
                return false;
            }
        }

        private static void refuse(ChannelHandlerContext context) {
            byte[] text =
                    "{\"errors\":[\"This needs the cluster's token: use job.sh in the JobManager's container.\"]}"
                            .getBytes(StandardCharsets.UTF_8);
            FullHttpResponse response =
                    new DefaultFullHttpResponse(
                            HttpVersion.HTTP_1_1, HttpResponseStatus.FORBIDDEN, Unpooled.wrappedBuffer(text));
            response.headers().set(HttpHeaderNames.CONTENT_TYPE, "application/json");
            response.headers().set(HttpHeaderNames.CONTENT_LENGTH, text.length);
            response.headers().set(HttpHeaderNames.CONNECTION, "close");
            context.writeAndFlush(response).addListener(ChannelFutureListener.CLOSE);
        }
    }
}
