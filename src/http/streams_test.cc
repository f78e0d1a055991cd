#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/server.h"
#include "http/testing.h"

namespace pixelfleet::http {
namespace {

using testing::Answer;
using testing::Client;
using ::testing::HasSubstr;
using testing::Running;

// Reads server-sent events.
class SseClient {
 public:
  explicit SseClient(int port, const std::string& headers = "", Client::Buffers buffers = Client::Buffers::normal)
      : client_(port, buffers) {
    client_.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    head = client_.read_head();
  }
  // Up to the next empty line: an event or a comment; empty at the end.
  std::string next_text() { return client_.read_until("\n\n"); }
  // The next event's envelope; null at the end.
  Json next() {
    std::string text = next_text();
    while (text.starts_with(':')) text = next_text();
    if (text.empty()) return {};
    const std::size_t data = text.find("data: ");
    last_id = data == 0 ? "" : text.substr(4, data - 5);
    return *parse_json(text.substr(data + 6), JsonLimits{16u << 20, 32, 1'000'000});
  }
  Answer head;
  std::string last_id;

 private:
  Client client_;
};

// Speaks just enough WebSocket (RFC 6455): unfragmented text frames from the server, empty masked frames to it.
class WebSocketClient {
 public:
  explicit WebSocketClient(int port, const std::string& headers = "", const std::string& query = "",
                           Client::Buffers buffers = Client::Buffers::normal)
      : client_(port, buffers) {
    client_.send("GET /api/v1/ws" + query +
                 " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
                 "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                 headers + "\r\n");
    head = client_.read_head();
  }
  void send_empty(char opcode) { client_.send(std::string{static_cast<char>(0x80 | opcode), '\x80', 1, 2, 3, 4}); }
  // Opcode and payload of the next frame; opcode -1 at the end.
  std::pair<int, std::string> next_frame() {
    const std::string start = client_.read_exactly(2);
    if (start.empty()) return {-1, ""};
    std::size_t length = static_cast<unsigned char>(start[1]);
    if (length >= 126) {
      const std::string extended = client_.read_exactly(length == 126 ? 2 : 8);
      length = 0;
      for (const char c : extended) length = length << 8 | static_cast<unsigned char>(c);
    }
    return {start[0] & 0x0F, length == 0 ? "" : client_.read_exactly(length)};
  }
  Json next() {
    const auto [opcode, payload] = next_frame();
    return opcode == 1 ? *parse_json(payload) : Json();
  }
  Answer head;

 private:
  Client client_;
};

std::string job_event(int n) { return format("{{\"job\":{{\"id\":{}}}}}", n); }

TEST(SseTest, ASnapshotComesFirstThenEveryEvent) {
  Running running;
  for (int i = 1; i <= 3; ++i) running.service.emit("job.created", job_event(i));
  SseClient client(running.port());
  EXPECT_EQ(client.head.status, 200);
  EXPECT_EQ(client.head.header("content-type"), "text/event-stream");
  const Json snapshot = client.next();
  EXPECT_EQ(snapshot["type"], "snapshot");
  EXPECT_EQ(snapshot["seq"], 3);
  EXPECT_EQ(snapshot["data"]["seq"], 3);
  EXPECT_EQ(client.last_id, "3");
  running.service.emit("job.updated", job_event(4));
  const Json delta = client.next();
  EXPECT_EQ(delta["seq"], 4);
  EXPECT_EQ(delta["type"], "job.updated");
  EXPECT_EQ(delta["data"]["job"]["id"], 4);
}

TEST(SseTest, LossyEventsHaveNoNumber) {
  Running running;
  SseClient client(running.port());
  client.next();
  // A stream that is still catching up from the store gets no lossy events: go on until one comes.
  for (int seq = 1; seq <= 100; ++seq) {
    running.service.emit_lossy("counts", "{}");
    running.service.emit("job.updated", job_event(seq));
    const Json event = client.next();
    if (event["seq"] == seq) continue;
    EXPECT_TRUE(event["seq"].is_null());
    EXPECT_EQ(event["type"], "counts");
    EXPECT_EQ(client.last_id, "");
    return;
  }
  FAIL() << "no lossy event came";
}

TEST(SseTest, ResumesAfterTheLastEventWithoutASnapshot) {
  Running running;
  for (int i = 1; i <= 1234; ++i) running.service.emit("job.updated", job_event(i));
  SseClient client(running.port(), "Last-Event-ID: 34\r\n");
  for (int seq = 35; seq <= 1234; ++seq) ASSERT_EQ(client.next()["seq"], seq);
  running.service.emit("job.updated", job_event(1235));
  EXPECT_EQ(client.next()["seq"], 1235);
}

TEST(SseTest, StartsAfreshWhereItCannotResume) {
  Running running;
  for (int i = 1; i <= 5; ++i) running.service.emit("job.updated", job_event(i));
  for (const char* id : {"6", "99999999999999999999", "-1", "abc", ""}) {
    SseClient client(running.port(), format("Last-Event-ID: {}\r\n", id));
    EXPECT_EQ(client.next()["type"], "snapshot") << id;
  }
  running.reader.forget_events();
  SseClient client(running.port(), "Last-Event-ID: 2\r\n");
  EXPECT_EQ(client.next()["type"], "snapshot");
}

TEST(SseTest, NothingIsLostOrRepeatedWhileAClientJoins) {
  // Room enough that a slow test machine does not make these clients laggards.
  Running running([](Options& options) { options.event_queue_bytes = 256u << 20; });
  const std::jthread loop([&](const std::stop_token& stop) {
    for (int i = 1; !stop.stop_requested(); ++i) {
      running.service.emit("job.updated", job_event(i));
      running.service.emit_lossy("counts", "{}");
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < 20; ++round) {
    SseClient client(running.port(), round % 2 == 0 ? "" : "Last-Event-ID: 0\r\n");
    std::int64_t seq = 0;
    for (int i = 0; i < 50; ++i) {
      const Json event = client.next();
      ASSERT_FALSE(event.is_null());
      if (event["seq"].is_null()) continue;
      if (event["type"] != "snapshot") {
        ASSERT_EQ(event["seq"], seq + 1);
      }
      seq = event["seq"];
    }
  }
}

TEST(SseTest, HeartbeatsKeepTheStreamAlive) {
  Running running([](Options& options) { options.heartbeat = std::chrono::milliseconds(20); });
  SseClient client(running.port());
  client.next();
  EXPECT_EQ(client.next_text(), ": \n\n");
  EXPECT_EQ(client.next_text(), ": \n\n");
}

TEST(SseTest, ALaggardIsCutOffAndOthersMissNothing) {
  Running running([](Options& options) { options.event_queue_bytes = 64 << 10; });
  SseClient laggard(running.port(), "", Client::Buffers::tiny);
  laggard.next();
  SseClient reader(running.port());
  reader.next();
  const std::string data = "{\"text\":\"" + std::string(8000, 'x') + "\"}";
  for (int seq = 1; seq <= 400; ++seq) {  // 3 MB, more than every buffer on the way
    running.service.emit("job.updated", data);
    ASSERT_EQ(reader.next()["seq"], seq);
  }
  int received = 0;
  while (!laggard.next().is_null()) ++received;
  EXPECT_LT(received, 400);
}

TEST(SseTest, OnlySoManyStreamsAreOpen) {
  Running running([](Options& options) { options.max_event_clients = 1; });
  SseClient first(running.port());
  first.next();
  EXPECT_EQ(SseClient(running.port()).head.status, 503);
}

TEST(SseTest, StopEndsTheStream) {
  Running running;
  SseClient client(running.port());
  client.next();
  running.server->stop();
  EXPECT_TRUE(client.next().is_null());
}

TEST(SseTest, AForeignPageMayNotListen) {
  Running running;
  EXPECT_EQ(SseClient(running.port(), "Origin: http://evil.example\r\n").head.status, 403);
}

TEST(WebSocketTest, ASnapshotComesFirstThenEveryEvent) {
  Running running;
  running.service.emit("job.created", job_event(1));
  WebSocketClient client(running.port(), "Origin: http://localhost\r\n");
  EXPECT_EQ(client.head.status, 101);
  EXPECT_EQ(client.head.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(client.next()["type"], "snapshot");
  for (int seq = 2; seq <= 50; ++seq) {
    running.service.emit("job.updated", job_event(seq));
    ASSERT_EQ(client.next()["seq"], seq);
  }
}

TEST(WebSocketTest, ResumesAfterTheLastEvent) {
  Running running;
  for (int i = 1; i <= 5; ++i) running.service.emit("job.updated", job_event(i));
  WebSocketClient client(running.port(), "", "?last_event_id=3");
  EXPECT_EQ(client.next()["seq"], 4);
  EXPECT_EQ(client.next()["seq"], 5);
}

TEST(WebSocketTest, AnswersPingsAndClosesWhenAsked) {
  Running running;
  WebSocketClient client(running.port());
  client.next();
  client.send_empty(9);
  EXPECT_EQ(client.next_frame().first, 10);
  client.send_empty(8);
  EXPECT_EQ(client.next_frame().first, 8);
  EXPECT_EQ(client.next_frame().first, -1);
}

TEST(WebSocketTest, ALaggardIsCutOff) {
  Running running([](Options& options) { options.event_queue_bytes = 64 << 10; });
  WebSocketClient laggard(running.port(), "", "", Client::Buffers::tiny);
  laggard.next();
  SseClient reader(running.port());
  reader.next();
  const std::string data = "{\"text\":\"" + std::string(8000, 'x') + "\"}";
  for (int seq = 1; seq <= 400; ++seq) {  // 3 MB
    running.service.emit("job.updated", data);
    ASSERT_EQ(reader.next()["seq"], seq);
  }
  int received = 0;
  while (laggard.next_frame().first == 1) ++received;
  EXPECT_LT(received, 400);
}

TEST(WebSocketTest, AForeignPageMayNotListen) {
  Running running;
  EXPECT_EQ(WebSocketClient(running.port(), "Origin: http://evil.example\r\n").head.status, 403);
  Running guarded([](Options& options) { options.token = "70ke0"; });
  EXPECT_EQ(WebSocketClient(guarded.port()).head.status, 401);
}

}  // namespace
}  // namespace pixelfleet::http
