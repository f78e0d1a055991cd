#include "http/event_hub.h"

#include "base/json_full.h"
#include "gtest/gtest.h"

namespace pixelfleet::http {
namespace {

using namespace std::chrono_literals;

EventPtr event(std::int64_t seq, std::string type = "job.updated", std::string data = "{}") {
  return std::make_shared<const Event>(Event{seq, std::move(type), from_unix_ms(1000), std::move(data)});
}
FramePtr frame(std::int64_t seq, std::size_t bytes = 0) {
  return std::make_shared<const Frame>(*event(seq, "t", "\"" + std::string(bytes, 'x') + "\""));
}

class FakeClient final : public EventClient {
 public:
  explicit FakeClient(std::size_t bytes = 1 << 20) : EventClient(bytes) {}
  std::vector<std::int64_t> take() {
    std::vector<std::int64_t> seqs;
    while (FramePtr next_frame = next()) seqs.push_back(next_frame->seq());
    return seqs;
  }
  int wakes = 0;
  int cuts = 0;

 private:
  void wake() override { ++wakes; }
  void cut_off() override { ++cuts; }
};

TEST(FrameTest, HoldsTheEnvelopeOnceForBothTransports) {
  const Frame durable(*event(7, "job.updated", R"({"job":{"id":1}})"));
  EXPECT_EQ(durable.json(), R"({"seq":7,"type":"job.updated","at":1000,"data":{"job":{"id":1}}})");
  EXPECT_EQ(durable.sse(), "id: 7\ndata: " + std::string(durable.json()) + "\n\n");
  const Frame lossy(*event(0, "counts", "{}"));
  EXPECT_EQ(lossy.sse(), "data: {\"seq\":null,\"type\":\"counts\",\"at\":1000,\"data\":{}}\n\n");
}

TEST(FrameTest, NoDataCanEndTheFrameEarly) {
  const Frame injected(*event(3, "t", "{\"a\":\n\ndata: 1,\r\n\"b\":2}"));
  EXPECT_EQ(injected.json().find('\n'), std::string_view::npos);
  EXPECT_EQ(injected.json().find('\r'), std::string_view::npos);
}

TEST(ClientQueueTest, LossyFramesGiveWay) {
  ClientQueue queue(400);
  EXPECT_EQ(queue.push(frame(1, 50)), ClientQueue::Push::queued);
  EXPECT_EQ(queue.push(frame(0, 150)), ClientQueue::Push::queued);
  EXPECT_EQ(queue.push(frame(2, 150)), ClientQueue::Push::queued);
  EXPECT_EQ(queue.dropped(), 1u);
  EXPECT_EQ(queue.push(frame(0, 200)), ClientQueue::Push::dropped);
  EXPECT_EQ(queue.pop()->seq(), 1);
  EXPECT_EQ(queue.pop()->seq(), 2);
  EXPECT_EQ(queue.pop(), nullptr);
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(ClientQueueTest, ADurableFrameThatDoesNotFitIsAnOverflow) {
  ClientQueue queue(400);
  EXPECT_EQ(queue.push(frame(1, 250)), ClientQueue::Push::queued);
  EXPECT_EQ(queue.push(frame(2, 250)), ClientQueue::Push::overflow);
}

TEST(ClientQueueTest, ALargeFrameFitsIntoAnEmptyQueue) {
  ClientQueue queue(100);
  EXPECT_EQ(queue.push(frame(1, 5000)), ClientQueue::Push::queued);
  EXPECT_EQ(queue.push(frame(0, 1)), ClientQueue::Push::dropped);
}

TEST(EventClientTest, SkipsWhatTheSnapshotHeldAlready) {
  EventHub hub;
  FakeClient client;
  hub.add(&client);
  for (std::int64_t seq = 1; seq <= 5; ++seq) hub.deliver(event(seq), Instant());
  hub.deliver(event(0, "counts"), Instant());  // useless before the snapshot
  client.sent(3);
  client.caught_up();
  hub.deliver(event(0, "counts"), Instant());
  EXPECT_EQ(client.take(), (std::vector<std::int64_t>{4, 5, 0}));
}

TEST(EventClientTest, IsCutOffOnce) {
  EventHub hub;
  FakeClient client(200);
  hub.add(&client);
  for (std::int64_t seq = 1; seq <= 20; ++seq) hub.deliver(event(seq), Instant());
  EXPECT_EQ(client.cuts, 1);
}

TEST(EventHubTest, ProgressIsHeldToTheIntervalAndTheLatestGoesOut) {
  EventHub hub;
  FakeClient client;
  client.caught_up();
  hub.add(&client);
  const Instant start = from_unix_ms(1'000'000);
  const auto progress = [](int job, int step) {
    return event(0, "job.progress", "{\"job_id\":" + std::to_string(job) + ",\"step\":" + std::to_string(step) + "}");
  };
  for (int step = 0; step < 5; ++step) hub.deliver(progress(1, step), start + step * 10ms);
  hub.deliver(progress(2, 0), start + 45ms);
  EXPECT_EQ(client.take().size(), 2u);  // one of each job

  EXPECT_EQ(hub.flush(start + 50ms), start + 100ms);
  EXPECT_EQ(client.take().size(), 0u);
  hub.flush(start + 100ms);
  const FramePtr latest = client.next();
  ASSERT_NE(latest, nullptr);
  EXPECT_NE(latest->json().find("\"step\":4"), std::string_view::npos);
  EXPECT_EQ(client.next(), nullptr);

  EXPECT_EQ(hub.flush(start + 1s), std::nullopt);  // nothing is remembered of quiet jobs
}

TEST(EventHubTest, EachGpuOfOneJobIsToldOf) {
  EventHub hub;
  FakeClient client;
  client.caught_up();
  hub.add(&client);
  const Instant start = from_unix_ms(1'000'000);
  const auto progress = [](const char* gpu, int step) {
    return event(
        0, "job.progress",
        R"({"job_id":1,"progress":{"gpu":")" + std::string(gpu) + R"(","step":)" + std::to_string(step) + "}}");
  };
  hub.deliver(progress("GPU-a", 1), start);
  hub.deliver(progress("GPU-b", 1), start + 1ms);
  EXPECT_EQ(client.take().size(), 2u);
  hub.deliver(progress("GPU-a", 2), start + 2ms);
  hub.deliver(progress("GPU-b", 2), start + 3ms);
  hub.flush(start + 200ms);
  EXPECT_EQ(client.take().size(), 2u) << "what was held of one gpu replaces nothing of the other";
}

TEST(EventHubTest, ARemovedClientHearsNothing) {
  EventHub hub;
  FakeClient client;
  hub.add(&client);
  hub.remove(&client);
  hub.deliver(event(1), Instant());
  EXPECT_EQ(client.wakes, 0);
}

}  // namespace
}  // namespace pixelfleet::http
