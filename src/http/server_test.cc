#include "http/server.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/testing.h"

namespace pixelfleet::http {
namespace {

using ::testing::AllOf;
using testing::Answer;
using testing::Client;
using ::testing::HasSubstr;
using testing::Running;

// The smallest header that says "PNG of this size".
std::string png_header(char width_high, char width_low) {
  std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\x40\x08\x02\0\0\0\0\0\0\0", 33);
  png[18] = width_high;
  png[19] = width_low;
  return png;
}

long files_in(const std::filesystem::path& directory) {
  std::error_code none;
  return std::distance(std::filesystem::directory_iterator(directory, none), std::filesystem::directory_iterator());
}

Image published(std::int64_t id, const std::string& path) {
  Image image;
  image.id = ImageId(id);
  image.job_id = JobId(1);
  image.state = ImageState::published;
  image.path = path;
  image.bytes = 7;
  image.published_at = from_unix_ms(1);
  return image;
}

TEST(ServerTest, EveryReadRouteAnswers) {
  Running running([](Options& options) {
    options.make_thumbnail = [](const std::filesystem::path& png, int side) -> Result<std::string> {
      return "jpeg of " + png.filename().string() + " " + std::to_string(side);
    };
  });
  Job job;
  job.id = JobId(1);
  running.reader.put(job);
  running.reader.put(published(3, "run_1/a.png"));
  running.scratch.write("output/run_1/a.png", "picture");
  const std::pair<const char*, const char*> routes[] = {{"/api/v1/jobs", "jobs"},
                                                        {"/api/v1/jobs/1", "images"},
                                                        {"/api/v1/images", "images"},
                                                        {"/api/v1/images/3", "url"},
                                                        {"/api/v1/models", "default_model"},
                                                        {"/api/v1/profiles", "profiles"},
                                                        {"/api/v1/samplers", "schedulers"},
                                                        {"/api/v1/gpus", "telemetry"},
                                                        {"/api/v1/settings", "multi_gpu.enabled"},
                                                        {"/api/v1/snapshot", "seq"},
                                                        {"/livez", "status"},
                                                        {"/readyz", "status"}};
  Client client(running.port());  // all over one connection
  for (const auto& [path, key] : routes) {
    const Answer answer = client.request("GET", path);
    EXPECT_EQ(answer.status, 200) << path << answer.body;
    EXPECT_TRUE(answer.json().contains(key)) << path << ": " << answer.body;
    EXPECT_EQ(answer.header("content-type"), "application/json");
    EXPECT_EQ(answer.header("x-content-type-options"), "nosniff");
    EXPECT_THAT(answer.header("content-security-policy"), HasSubstr("frame-ancestors 'none'"));
    EXPECT_NE(answer.header("x-request-id"), "");
  }
  EXPECT_EQ(client.request("GET", "/api/v1/images/3/file").body, "picture");
  EXPECT_EQ(client.request("GET", "/api/v1/images/3/thumbnail").body, "jpeg of a.png 320");
  EXPECT_THAT(client.request("GET", "/api/v1/openapi.yaml").body, HasSubstr("openapi: 3.1"));
}

TEST(ServerTest, SnapshotHoldsWhatAPageShows) {
  Running running;
  Job job;
  job.id = JobId(1);
  job.state = JobState::running;
  running.reader.put(job);
  const Json snapshot = running.get("/api/v1/snapshot").json();
  for (const char* key : {"seq", "server", "settings", "gpus", "telemetry", "counts", "queue", "jobs", "images",
                          "models", "profiles", "default_model"}) {
    EXPECT_TRUE(snapshot.contains(key)) << key;
  }
  EXPECT_EQ(snapshot["jobs"].size(), 1u);
  EXPECT_TRUE(snapshot["jobs"][0]["progress"].is_null());
  EXPECT_EQ(snapshot["server"]["version"], "0.1.0");
  EXPECT_EQ(snapshot["server"]["multi_gpu_available"], false);
  EXPECT_EQ(snapshot["default_model"], "demo-landscape");
}

TEST(ServerTest, SubmitsOneJobOrMany) {
  Running running;
  Client client(running.port());
  const Answer one = client.post_json("/api/v1/jobs", R"({"prompt":"a red fox"})");
  EXPECT_EQ(one.status, 201) << one.body;
  EXPECT_EQ(one.json()["jobs"][0]["id"], 101);
  EXPECT_EQ(one.json()["run_dir"], "run_20261124_091530");
  const Answer many = client.post_json("/api/v1/jobs", R"({"jobs":[{"prompt":"a"},{"prompt":"b"}]})");
  EXPECT_EQ(many.json()["jobs"].size(), 2u);
  EXPECT_EQ(running.reader.count_jobs(), 3u);
}

TEST(ServerTest, ReportsEveryWrongFieldOfEveryJob) {
  Running running;
  const Answer answer =
      Client(running.port())
          .post_json("/api/v1/jobs", R"({"jobs":[{"prompt":"a","steps":0},{"prompt":"b","stepz":9}]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.header("content-type"), "application/problem+json");
  const Json errors = answer.json()["errors"];
  ASSERT_EQ(errors.size(), 2u) << answer.body;
  EXPECT_EQ(errors[0]["field"], "jobs[0].steps");
  EXPECT_EQ(errors[1]["field"], "jobs[1].stepz");
  EXPECT_EQ(running.reader.count_jobs(), 0u);
}

TEST(ServerTest, RefusesBodiesThatAreNoJobs) {
  Running running;
  for (const char* body : {"null", "[]", "\"x\"", "{", "{}{}", "{\"jobs\":[]}", "{\"jobs\":{}}", "{\"jobs\":[1]}",
                           "{\"jobs\":[{\"prompt\":\"a\"}],\"prompt\":\"b\"}", "{\"prompt\":\"\xff\"}"}) {
    const Answer answer = Client(running.port()).post_json("/api/v1/jobs", body);
    EXPECT_EQ(answer.status, 400) << body << answer.body;
    EXPECT_NE(answer.json()["detail"], "") << body;
  }
}

TEST(ServerTest, ALoopThatRefusesDecidesTheStatus) {
  Running running;
  running.service.refuse(Error{ErrorCode::disk_full, "the disk is full", {}});
  EXPECT_EQ(Client(running.port()).post_json("/api/v1/jobs", R"({"prompt":"a"})").status, 507);
  running.service.refuse(Error{ErrorCode::resource_exhausted, "the queue is full", {}});
  EXPECT_EQ(Client(running.port()).post_json("/api/v1/jobs", R"({"prompt":"a"})").status, 429);
}

TEST(ServerTest, CancelsOnceThenConflicts) {
  Running running;
  Job job;
  job.id = JobId(7);
  running.reader.put(job);
  Client client(running.port());
  const Answer first = client.request("POST", "/api/v1/jobs/7/cancel", "Content-Length: 0\r\n");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.json()["state"], "cancelled");
  EXPECT_EQ(client.post_json("/api/v1/jobs/7/cancel", "{}").status, 409);
  EXPECT_EQ(client.post_json("/api/v1/jobs/8/cancel", "{}").status, 404);
}

TEST(ServerTest, PassesOrdersOnAndAnswersWithTheJob) {
  Running running;
  Job job;
  job.id = JobId(7);
  running.reader.put(job);
  Client client(running.port());
  EXPECT_EQ(client.request("POST", "/api/v1/jobs/7/hold", "Content-Length: 0\r\n").json()["held_reason"], "user");
  EXPECT_EQ(client.post_json("/api/v1/jobs/7/release", "{}").status, 200);
  EXPECT_EQ(client.post_json("/api/v1/jobs/7/retry", "{}").status, 200);
  EXPECT_EQ(client.post_json("/api/v1/jobs/7/move", R"({"before":5})").json()["rank"], -5.0);
  EXPECT_EQ(client.post_json("/api/v1/jobs/7/move", R"({"after":5})").json()["rank"], 5.0);
  const Answer changed =
      client.post_json("/api/v1/jobs/7", R"({"priority":"background","gpu":"virtual-0"})", "", "PATCH");
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.json()["priority"], "background");
  EXPECT_EQ(changed.json()["requested"]["gpu"], "virtual-0");
  EXPECT_EQ(client.post_json("/api/v1/jobs/8/hold", "{}").status, 404);
  const Answer many = client.post_json("/api/v1/jobs/cancel", R"({"ids":[7,9]})");
  EXPECT_EQ(many.status, 200) << many.body;
  EXPECT_EQ(many.json()["cancelled"], Json({7, 9}));
}

TEST(ServerTest, PausesAreOfEverybodyOrOfAnOwnerAndShowInTheSnapshot) {
  Running running;
  Client client(running.port());
  EXPECT_EQ(client.request("POST", "/api/v1/queue/pause", "Content-Length: 0\r\n").json()["paused_all"], true);
  client.post_json("/api/v1/queue/pause", R"({"owner":"ada"})");
  const Json expected = {{"paused_all", true}, {"paused_owners", {"ada"}}};
  EXPECT_EQ(client.request("GET", "/api/v1/queue").json(), expected);
  EXPECT_EQ(client.request("GET", "/api/v1/snapshot").json()["queue"], expected);
  client.post_json("/api/v1/queue/resume", "{}");
  EXPECT_EQ(client.post_json("/api/v1/queue/resume", R"({"owner":"ada"})").json(),
            Json({{"paused_all", false}, {"paused_owners", Json::array()}}));
}

TEST(ServerTest, RefusesOrdersThatSayTooLittleOrTooMuch) {
  Running running;
  Client client(running.port());
  struct Row {
    const char* method;
    const char* path;
    const char* body;
    const char* field;
    const char* words;
  };
  const Row rows[] = {
      {"POST", "/api/v1/jobs/7/hold", R"({"until":"noon"})", "until", "no keys"},
      {"POST", "/api/v1/jobs/7/hold", "[]", "", "not an object"},
      {"POST", "/api/v1/jobs/7/move", "{}", "before", "either before or after"},
      {"POST", "/api/v1/jobs/7/move", R"({"before":1,"after":2})", "before", "either before or after"},
      {"POST", "/api/v1/jobs/7/move", R"({"before":0})", "before", "a positive integer"},
      {"POST", "/api/v1/jobs/7/move", R"({"befor":3,"after":2})", "befor", "did you mean 'before'?"},
      {"PATCH", "/api/v1/jobs/7", "{}", "priority", "nothing to change"},
      {"PATCH", "/api/v1/jobs/7", R"({"priority":"urgent"})", "priority", "interactive, normal, background"},
      {"PATCH", "/api/v1/jobs/7", R"({"gpu":""})", "gpu", "or null: anywhere"},
      {"POST", "/api/v1/jobs/cancel", "{}", "ids", "either ids or sweep_id"},
      {"POST", "/api/v1/jobs/cancel", R"({"ids":[]})", "ids", "1 to 1000 ids"},
      {"POST", "/api/v1/jobs/cancel", R"({"ids":[1,"2"]})", "ids", "no id"},
      {"POST", "/api/v1/jobs/cancel", R"({"ids":[18446744073709551615]})", "ids", "no id"},
      {"POST", "/api/v1/queue/pause", R"({"owner":""})", "owner", "without it, everybody"},
      {"POST", "/api/v1/queue/pause", R"({"owner":7})", "owner", "without it, everybody"},
  };
  for (const Row& row : rows) {
    const Answer answer = client.post_json(row.path, row.body, "", row.method);
    ASSERT_EQ(answer.status, 400) << row.path << row.body << answer.body;
    EXPECT_EQ(answer.json()["errors"][0]["field"], row.field) << row.body;
    EXPECT_THAT(answer.body, HasSubstr(row.words)) << row.body;
  }
}

TEST(ServerTest, PagesThroughJobs) {
  Running running;
  for (int id = 1; id <= 5; ++id) {
    Job job;
    job.id = JobId(id);
    job.state = id % 2 == 0 ? JobState::done : JobState::queued;
    running.reader.put(job);
  }
  const Json first = running.get("/api/v1/jobs?limit=2").json();
  EXPECT_EQ(first["jobs"][0]["id"], 5);
  EXPECT_EQ(first["next_after"], 4);
  const Json last = running.get("/api/v1/jobs?limit=3&after=4").json();
  EXPECT_EQ(last["jobs"].size(), 3u);
  EXPECT_TRUE(last["next_after"].is_null());
  EXPECT_EQ(running.get("/api/v1/jobs?state=done,failed").json()["jobs"].size(), 2u);
}

TEST(ServerTest, NamesEveryWrongQueryParameter) {
  Running running;
  const Answer answer = running.get("/api/v1/jobs?limit=0&after=x&state=done,dnoe&stat=1");
  EXPECT_EQ(answer.status, 400);
  ASSERT_EQ(answer.json()["errors"].size(), 4u) << answer.body;
  EXPECT_THAT(answer.body, AllOf(HasSubstr("an integer from 1 to 200"), HasSubstr("did you mean 'state'?")));
}

TEST(ServerTest, MergesSettingsAndSuggestsTheNearKey) {
  Running running;
  Client client(running.port());
  const Answer changed = client.post_json("/api/v1/settings", R"({"multi_gpu.enabled":true})", "", "PUT");
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.json()["multi_gpu.enabled"], true);
  EXPECT_EQ(client.request("GET", "/api/v1/settings").json()["multi_gpu.enabled"], true);
  const Answer wrong = client.post_json("/api/v1/settings", R"({"multi_gpu.enable":true})", "", "PUT");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(wrong.body, HasSubstr("multi_gpu.enabled"));
}

TEST(ServerTest, PicturesAreCachedForEver) {
  Running running;
  running.reader.put(published(3, "run_1/a.png"));
  running.scratch.write("output/run_1/a.png", "picture");
  Client client(running.port());
  const Answer first = client.request("GET", "/api/v1/images/3/file");
  EXPECT_EQ(first.header("content-type"), "image/png");
  EXPECT_THAT(first.header("cache-control"), HasSubstr("immutable"));
  const Answer again =
      client.request("GET", "/api/v1/images/3/file", "If-None-Match: \"x\", " + first.header("etag") + "\r\n");
  EXPECT_EQ(again.status, 304);
  const Answer head = client.request("HEAD", "/api/v1/images/3/file");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"), "7");
  EXPECT_EQ(client.request("GET", "/livez").status, 200);  // nothing was left on the connection
}

TEST(ServerTest, LargePicturesArriveWhole) {
  Running running;
  std::string bytes;
  for (int i = 0; i < 3'000'000; ++i) bytes += static_cast<char>(i * 7 % 251);
  running.reader.put(published(3, "a.png"));
  running.scratch.write("output/a.png", bytes);
  EXPECT_TRUE(running.get("/api/v1/images/3/file").body == bytes);
}

TEST(ServerTest, PicturesThatAreNotThereAreExplained) {
  Running running;
  running.reader.put(published(3, "run_1/gone.png"));
  running.reader.put(published(4, "../secret.png"));
  Image pending = published(5, "b.png");
  pending.state = ImageState::pending;
  running.reader.put(pending);
  running.scratch.write("secret.png", "secret");
  const Answer gone = running.get("/api/v1/images/3/file");
  EXPECT_EQ(gone.status, 404);
  EXPECT_THAT(gone.body, HasSubstr("run_1/gone.png"));
  EXPECT_EQ(running.get("/api/v1/images/4/file").status, 403);
  EXPECT_EQ(running.get("/api/v1/images/5/file").status, 404);
  EXPECT_EQ(running.get("/api/v1/images/6/thumbnail").status, 404);
}

TEST(ServerTest, KeepsUploadsUnderItsOwnName) {
  Running running;
  const Answer answer =
      Client(running.port()).request("POST", "/api/v1/uploads", "Content-Type: image/jpeg\r\n", png_header(1, 0));
  EXPECT_EQ(answer.status, 201) << answer.body;
  const Json expected = {{"id", 5}, {"bytes", 33}, {"width", 256}, {"height", 64}, {"media_type", "image/png"}};
  EXPECT_EQ(answer.json(), expected);
  EXPECT_EQ(files_in(running.scratch.path() / "data/uploads"), 1);
}

// The status of an upload, once the server has closed the connection and forgotten the request.
int upload_status(int port, const std::string& headers, const std::string& body) {
  Client client(port);
  const Answer answer = client.request("POST", "/api/v1/uploads", "Connection: close\r\n" + headers, body);
  client.finish_sending();
  client.read_to_end();
  return answer.status;
}

TEST(ServerTest, RefusesUploadsThatAreNoPictures) {
  Running running;
  const int port = running.port();
  const std::string png = "Content-Type: image/png\r\n";
  EXPECT_EQ(upload_status(port, png, "GIF89a.........................."), 415);
  EXPECT_EQ(upload_status(port, png, png_header(0, 0)), 422);
  EXPECT_EQ(upload_status(port, "Content-Type: image/svg+xml\r\n", "<svg/>"), 415);
  EXPECT_EQ(upload_status(port, png + "Content-Encoding: gzip\r\n", "x"), 415);
  EXPECT_EQ(upload_status(port, png + "Content-Length: 0\r\n", ""), 400);
  EXPECT_EQ(upload_status(port, png + "Content-Length: 33554433\r\n", ""), 413);  // before a byte of it was sent
  EXPECT_EQ(files_in(running.scratch.path() / "data/uploads"), 0);
}

TEST(ServerTest, AnUploadThatBreaksOffLeavesNothing) {
  Running running;
  Client client(running.port());
  client.send(
      "POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\nabc");
  client.finish_sending();
  EXPECT_EQ(client.read_answer().status, 400);
  client.read_to_end();
  EXPECT_EQ(files_in(running.scratch.path() / "data/uploads"), 0);
}

TEST(ServerTest, UnknownAddressesNameNearOnes) {
  Running running;
  const Answer answer = running.get("/api/v1/job");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr("/api/v1/jobs"));
  const Answer wrong = Client(running.port()).request("DELETE", "/api/v1/jobs/1");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("allow"), "GET, HEAD, PATCH");
}

TEST(ServerTest, ThePageBringsTheSessionCookieThatItsRequestsNeed) {
  Running running;
  Client client(running.port());
  const Answer page = client.request("GET", "/", "Sec-Fetch-Site: none\r\n");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8");
  const std::string cookie = page.header("set-cookie");
  EXPECT_THAT(cookie, AllOf(HasSubstr("HttpOnly"), HasSubstr("SameSite=Strict")));

  const std::string origin = "Origin: http://127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n";
  EXPECT_EQ(client.post_json("/api/v1/jobs", R"({"prompt":"a"})", origin).status, 403);
  Client second(running.port());
  const std::string session = "X-PixelFleet: 1\r\nCookie: " + cookie.substr(0, cookie.find(';')) + "\r\n";
  EXPECT_EQ(second.post_json("/api/v1/jobs", R"({"prompt":"a"})", origin + session).status, 201);
}

TEST(ServerTest, ServesThePagesFilesUnderTheirNames) {
  static constexpr PageFile kFiles[] = {{"/index.html", "text/html; charset=utf-8", "<p>", "\"1\""},
                                        {"/assets/a-1.js", "text/javascript", "let a", "\"2\""}};
  Running running([](Options& options) { options.page = kFiles; });
  EXPECT_EQ(running.get("/").body, "<p>");
  const Answer script = running.get("/assets/a-1.js");
  EXPECT_EQ(script.body, "let a");
  EXPECT_THAT(script.header("cache-control"), HasSubstr("immutable"));
  EXPECT_EQ(running.get("/assets/a-1.js", "If-None-Match: \"2\"\r\n").status, 304);
  EXPECT_EQ(running.get("/assets/b.js").status, 404);
  EXPECT_EQ(running.get("/favicon.ico").status, 404);
}

TEST(ServerTest, WithoutABuiltPageItSaysHowToBuildIt) {
  Running running([](Options& options) { options.page = {}; });
  EXPECT_THAT(running.get("/").body, AllOf(HasSubstr("./quickstart"), HasSubstr("npm --prefix web")));
}

TEST(ServerTest, ATokenIsTradedForTheCookie) {
  Running running([](Options& options) { options.token = "70ke0"; });
  Client client(running.port());
  EXPECT_EQ(client.request("GET", "/").header("set-cookie"), "");
  const Answer refused = client.request("GET", "/api/v1/gpus");
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.header("www-authenticate"), HasSubstr("Bearer"));
  EXPECT_EQ(client.request("GET", "/api/v1/gpus", "Authorization: Bearer 70ke0\r\n").status, 200);
  EXPECT_EQ(client.request("GET", "/api/v1/gpus?token=70ke0").status, 401);
  EXPECT_EQ(client.post_json("/api/v1/login", R"({"token":"70ke1"})").status, 401);
  EXPECT_EQ(client.post_json("/api/v1/login", R"({"tokn":"70ke0"})").status, 400);
  const Answer login = client.post_json("/api/v1/login", R"({"token":"70ke0"})");
  EXPECT_EQ(login.status, 204);
  const std::string cookie = login.header("set-cookie");
  EXPECT_EQ(client.request("GET", "/api/v1/gpus", "Cookie: " + cookie.substr(0, cookie.find(';')) + "\r\n").status,
            200);
}

TEST(ServerTest, SessionsSurviveARestart) {
  const testing::ScratchDirectory data;
  const auto adjust = [&](Options& options) { options.data_directory = data.path(); };
  const std::string first = Running(adjust).get("/").header("set-cookie");
  EXPECT_EQ(Running(adjust).get("/").header("set-cookie"), first);
  std::filesystem::remove(data.path() / "session_secret");
  EXPECT_NE(Running(adjust).get("/").header("set-cookie"), first);
}

TEST(ServerTest, ReadinessTellsOfTheStore) {
  Running running;
  EXPECT_EQ(running.get("/readyz").status, 200);
  running.reader.break_down();
  const Answer broken = running.get("/readyz");
  EXPECT_EQ(broken.status, 503);
  EXPECT_THAT(broken.body, HasSubstr("the disk is gone"));
  EXPECT_EQ(running.get("/livez").status, 200);
}

TEST(ServerTest, ATakenPortIsAConflictThatNamesTheNextStep) {
  Running running;
  Options options;
  options.port = static_cast<std::uint16_t>(running.port());
  options.data_directory = running.scratch.path() / "data";
  const auto second = Server::start(options, running.service, running.reader);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_THAT(second.error().message, AllOf(HasSubstr(std::to_string(running.port())), HasSubstr("--port")));
}

TEST(ServerTest, OtherMachinesNeedAToken) {
  Running running;
  Options options;
  options.port = 0;
  options.bind_address = "0.0.0.0";
  options.data_directory = running.scratch.path() / "data";
  const auto open = Server::start(options, running.service, running.reader);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, ErrorCode::invalid_argument);
  options.bind_address = "nowhere";
  EXPECT_FALSE(Server::start(options, running.service, running.reader));
}

}  // namespace
}  // namespace pixelfleet::http
