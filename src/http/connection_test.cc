// What a connection takes and refuses, limits and ends.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/testing.h"

namespace pixelfleet::http {
namespace {

using testing::Answer;
using testing::Client;
using ::testing::HasSubstr;
using testing::Running;

TEST(ConnectionTest, ATwoMebibyteBodyGetsAClearAnswer) {
  Running running;
  const std::string body = R"({"prompt":")" + std::string(2 << 20, 'x') + "\"}";
  const Answer answer = Client(running.port()).post_json("/api/v1/jobs", body);
  EXPECT_EQ(answer.status, 413);
  EXPECT_THAT(answer.body, HasSubstr("at most 1048576 bytes"));
  // Chunked, where no length tells it beforehand.
  Client chunked(running.port());
  chunked.send(
      "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n");
  chunked.send(format("{:x}\r\n", body.size()) + body + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.read_answer().status, 413);
}

TEST(ConnectionTest, TakesChunkedBodiesAndExpectContinue) {
  Running running;
  Client client(running.port());
  client.send(
      "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_head().status, 100);
  client.send("9\r\n{\"prompt\"\r\n5\r\n:\"a\"}\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 201);
}

TEST(ConnectionTest, RefusesMalformedRequests) {
  const std::string host = "Host: localhost\r\n";
  const std::string json = host + "Content-Type: application/json\r\n";
  struct Case {
    const char* what;
    std::string bytes;
    int status;
  };
  const Case cases[] = {
      {"length and chunked",
       "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"chunked and length",
       "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
       400},
      {"two lengths", "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
       400},
      {"signed length", "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Content-Length: +5\r\n\r\nabcde", 400},
      {"hexadecimal length", "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Content-Length: 0x5\r\n\r\nabcde", 400},
      {"length of 20 digits", "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Content-Length: 99999999999999999999\r\n\r\n",
       400},
      {"chunk size overflow",
       "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", 400},
      {"chunk size that is none", "POST /api/v1/jobs HTTP/1.1\r\n" + json + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
       400},
      {"bare line feeds", "GET /livez HTTP/1.1\r\nHost: localhost\n\n", 400},
      {"header without colon", "GET /livez HTTP/1.1\r\nHost localhost\r\n\r\n", 400},
      {"NUL in a name", std::string("GET /livez HTTP/1.1\r\nHo\0st: x\r\n\r\n", 34), 400},
      {"space before the colon", "GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400},
      {"huge header", "GET /livez HTTP/1.1\r\n" + host + "If-None-Match: " + std::string(64 << 10, 'x') + "\r\n\r\n",
       431},
      {"long address", "GET /livez?" + std::string(5000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 414},
      {"HTTP/9.9", "GET /livez HTTP/9.9\r\n" + host + "\r\n", 505},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), 400},
      {"absolute address", "GET http://localhost/livez HTTP/1.1\r\n" + host + "\r\n", 400},
      {"traversal", "GET /api/v1/images/../../etc/passwd HTTP/1.1\r\n" + host + "\r\n", 400},
      {"encoded traversal", "GET /assets/%2e%2e%2fetc HTTP/1.1\r\n" + host + "\r\n", 400},
      {"no host", "GET /api/v1/gpus HTTP/1.1\r\n\r\n", 400},
      {"foreign host", "GET /api/v1/gpus HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
      {"form post",
       "POST /api/v1/jobs HTTP/1.1\r\n" + host +
           "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b",
       415},
      {"body for a reader", "GET /api/v1/gpus HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", 413},
      {"plain GET of the socket", "GET /api/v1/ws HTTP/1.1\r\n" + host + "\r\n", 426},
  };
  Running running;
  for (const Case& each : cases) {
    Client client(running.port());
    client.send(each.bytes);
    const Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, each.status) << each.what << ": " << answer.body;
    EXPECT_EQ(answer.header("content-type"), "application/problem+json") << each.what;
  }
  EXPECT_EQ(running.get("/livez").status, 200);
}

TEST(ConnectionTest, AnEndlessHeadIsCutOff) {
  Running running;
  Client client(running.port());
  client.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n");
  for (int i = 0; i < 10'000 && client.send("a: b\r\n"); ++i) {
  }
  client.send("\r\n");
  EXPECT_EQ(client.read_answer().status, 431);
}

TEST(ConnectionTest, ASlowHeadIsCutOff) {
  Running running([](Options& options) { options.header_deadline = std::chrono::milliseconds(50); });
  Client client(running.port());
  client.send("GET /livez HTTP/1.1\r\nHost:");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(ConnectionTest, AnswersPipelinedRequestsInOrder) {
  Running running;
  Client client(running.port());
  client.send(
      "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /api/v1/nope HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez "
      "HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(client.read_answer().status, 404);
  const Answer last = client.read_answer();
  EXPECT_EQ(last.header("connection"), "close");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(ConnectionTest, AFullServerRefusesPolitely) {
  Running running([](Options& options) { options.max_connections = 1; });
  Client first(running.port());
  EXPECT_EQ(first.request("GET", "/livez").status, 200);
  Client second(running.port());
  EXPECT_EQ(second.read_answer().status, 503);
}

TEST(ConnectionTest, ALoopThatNeverAnswersDoesNotHoldTheClient) {
  Running running([](Options& options) { options.answer_deadline = std::chrono::milliseconds(30); });
  running.service.fall_silent();
  EXPECT_EQ(Client(running.port()).post_json("/api/v1/jobs", R"({"prompt":"a"})").status, 503);
}

TEST(ConnectionTest, StopsWithRequestsUnderWayAndRepliesAfterwards) {
  Running running;
  running.service.fall_silent();
  Client idle(running.port());
  EXPECT_EQ(idle.request("GET", "/livez").status, 200);
  Client waiting(running.port());
  waiting.send(
      "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
      "14\r\n\r\n{\"prompt\":\"a\"}");
  while (running.service.kept() == 0) std::this_thread::yield();
  running.server->stop();
  EXPECT_EQ(idle.read_to_end(), "");
  running.service.answer_kept();  // nobody waits any more
  running.server.reset();
  running.service.answer_kept();
  EXPECT_EQ(waiting.read_to_end(), "");
}

}  // namespace
}  // namespace pixelfleet::http
