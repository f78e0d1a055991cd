#include "media/output_directory.h"

#include <fcntl.h>
#include <sys/file.h>

#include "media/testing.h"

namespace pixelfleet::media {
namespace {

class Output : public testing::Test {
 protected:
  Output() : output_(OutputDirectory::open(scratch_ / "out").value()) {}

  const ScratchDirectory scratch_;
  OutputDirectory output_;
};

TEST_F(Output, PublishesBelowDirectoriesThatItMakes) {
  ASSERT_TRUE(output_.publish("sweep_1/model_x/a.png", "1-0", "pixels"));
  EXPECT_EQ(read_file(scratch_ / "out/sweep_1/model_x/a.png"), "pixels");
  ASSERT_TRUE(output_.publish("sweep_1/model_x/a.png", "2-0", "again"));
  EXPECT_EQ(read_file(scratch_ / "out/sweep_1/model_x/a.png"), "again");
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_ / "out/sweep_1/model_x")) {
    (void)entry;
    ++entries;
  }
  EXPECT_EQ(entries, 1) << "no temporary stays behind";
}

TEST_F(Output, RefusesPathsThatLeaveTheDirectory) {
  for (const char* path : {"../a.png", "/tmp/a.png", "run/../../a.png", "", "run/", "./a.png"}) {
    const auto done = output_.publish(path, "1-0", "x");
    ASSERT_FALSE(done) << path;
    EXPECT_EQ(done.error().code, ErrorCode::invalid_argument) << path;
  }
}

TEST_F(Output, DoesNotFollowALinkOutOfTheDirectory) {
  std::filesystem::create_directory(scratch_ / "elsewhere");
  std::filesystem::create_directory_symlink(scratch_ / "elsewhere", scratch_ / "out/run_1");
  EXPECT_FALSE(output_.publish("run_1/a.png", "1-0", "x"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "elsewhere"));
}

TEST_F(Output, TakesOverTheTemporaryOfADeadAttempt) {
  write_file(scratch_ / "out/.pixelfleet-5-0.tmp", "half a picture of a server that died");
  ASSERT_TRUE(output_.publish("a.png", "5-0", "whole"));
  EXPECT_EQ(read_file(scratch_ / "out/a.png"), "whole");
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out/.pixelfleet-5-0.tmp"));
}

TEST_F(Output, AvoidsATemporaryThatALivingWriterHolds) {
  const UniqueFd held(::open((scratch_ / "out/.pixelfleet-5-0.tmp").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  ASSERT_TRUE(output_.publish("a.png", "5-0", "mine"));
  EXPECT_EQ(read_file(scratch_ / "out/a.png"), "mine");
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "out/.pixelfleet-5-0.tmp")) << "the other one keeps its file";
  EXPECT_EQ(output_.remove_orphans(), 0);
}

TEST_F(Output, WritesNothingThroughALinkInTheTemporarysPlace) {
  write_file(scratch_ / "victim", "untouched");
  std::filesystem::create_symlink(scratch_ / "victim", scratch_ / "out/.pixelfleet-5-0.tmp");
  ASSERT_TRUE(output_.publish("a.png", "5-0", "mine"));
  EXPECT_EQ(read_file(scratch_ / "victim"), "untouched");
}

TEST_F(Output, SweepsOrphansInRunDirectoriesAndNothingElse) {
  std::filesystem::create_directories(scratch_ / "out/all/model_x");
  write_file(scratch_ / "out/all/model_x/.pixelfleet-5-0.tmp", "x");
  write_file(scratch_ / "out/.pixelfleet-6-1.tmp", "x");
  write_file(scratch_ / "out/all/model_x/a.png", "x");
  write_file(scratch_ / "out/.hidden.tmp", "x");
  EXPECT_EQ(output_.remove_orphans(), 2);
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "out/all/model_x/a.png"));
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "out/.hidden.tmp"));
}

TEST_F(Output, AppendsLinesOneAfterAnother) {
  ASSERT_TRUE(output_.append("jobs_a.log", "one\n"));
  ASSERT_TRUE(output_.append("jobs_a.log", "two\n"));
  EXPECT_EQ(read_file(scratch_ / "out/jobs_a.log"), "one\ntwo\n");
}

TEST(OutputOpen, NamesThePathThatCannotBeADirectory) {
  const ScratchDirectory scratch;
  write_file(scratch / "file", "x");
  const auto output = OutputDirectory::open(scratch / "file/out");
  ASSERT_FALSE(output);
  EXPECT_NE(output.error().message.find(scratch / "file/out"), std::string::npos);
}

}  // namespace
}  // namespace pixelfleet::media
