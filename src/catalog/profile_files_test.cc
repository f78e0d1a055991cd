#include "catalog/profile_files.h"

#include "catalog/testing.h"

namespace pixelfleet::catalog {
namespace {

std::string reason(const std::string& text) {
  const auto profile = parse_profile(text, "p.yaml");
  return profile ? "accepted" : profile.error().message;
}

TEST(Profiles, TheProgramNeverLacksItsOwn) {
  const LoadedProfiles loaded = load_profiles({"", "/nonexistent"});
  EXPECT_TRUE(loaded.problems.empty());
  ASSERT_GE(loaded.profiles.size(), 3u);
  EXPECT_EQ(loaded.profiles[0].key, "none");
  EXPECT_EQ(loaded.profiles[0].title, "None / Raw");
  EXPECT_TRUE(loaded.profiles[0].prompt_suffix.empty());
  EXPECT_FALSE(loaded.profiles[0].steps);
  const auto find = [&](const std::string& key) {
    return *std::find_if(loaded.profiles.begin(), loaded.profiles.end(),
                         [&](const Profile& p) { return p.key == key; });
  };
  EXPECT_EQ(find("photoreal").title, "Photoreal");
  EXPECT_EQ(find("photoreal").steps, 26);
  EXPECT_EQ(find("photoreal").sampler, "dpm++2m");
  EXPECT_EQ(find("cinematic").steps, 30);
  EXPECT_EQ(find("cinematic").sampler, "euler");
  EXPECT_EQ(find("cinematic").prompt_suffix.find('\n'), std::string::npos);
}

TEST(Profiles, FilesReplaceAndAdd) {
  const ScratchDirectory scratch;
  write_file(scratch / "mine/photoreal.yaml", "key: photoreal\ntitle: Photoreal\nsteps: 40\n");
  write_file(scratch / "mine/noir.yml",
             "key: noir\ntitle: Film Noir\naliases: [black]\nprompt_suffix: 'hard shadows'\n");
  write_file(scratch / "mine/readme.txt", "not a profile");
  const LoadedProfiles loaded = load_profiles({scratch / "mine"});
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.profiles.size(), load_profiles({}).profiles.size() + 1);
  for (const Profile& profile : loaded.profiles) {
    if (profile.key == "photoreal") {
      EXPECT_EQ(profile.steps, 40);
    }
    if (profile.key == "noir") {
      EXPECT_EQ(profile.aliases, std::vector<std::string>{"black"});
    }
  }
}

TEST(Profiles, ABrokenFileIsReportedAndLeavesTheOthers) {
  const ScratchDirectory scratch;
  write_file(scratch / "mine/bad.yaml", "key: bad\ntitle: [\n");
  write_file(scratch / "mine/binary.yaml", "\xFF\xFE\x00");
  write_file(scratch / "mine/good.yaml", "key: good\ntitle: Good\n");
  const LoadedProfiles loaded = load_profiles({scratch / "mine"});
  ASSERT_EQ(loaded.problems.size(), 2u);
  EXPECT_NE(loaded.problems[0].find("bad.yaml:"), std::string::npos);
  EXPECT_EQ(loaded.profiles.size(), load_profiles({}).profiles.size() + 1);
}

TEST(Profiles, ErrorsNameFileLineAndReason) {
  EXPECT_NE(reason("key: x\ntitle: X\nstep: 5\n").find("p.yaml:3: unknown key 'step'; did you mean 'steps'?"),
            std::string::npos);
  EXPECT_NE(reason("key: x\ntitle: X\nsteps: 0\n").find("p.yaml:3: steps must be"), std::string::npos);
  EXPECT_NE(reason("key: x\ntitle: X\nsteps: many\n").find("p.yaml:3: steps must be"), std::string::npos);
  EXPECT_NE(
      reason("key: x\ntitle: X\nsampler: eular\n").find("p.yaml:3: unknown sampler 'eular'; did you mean 'euler'?"),
      std::string::npos);
  EXPECT_NE(reason("key: X Y\ntitle: X\n").find("p.yaml:1: key is needed"), std::string::npos);
  EXPECT_NE(reason("key: x\n").find("title is needed"), std::string::npos);
  EXPECT_NE(reason("key: x\ntitle: X\naliases: {a: b}\n").find("p.yaml:3: aliases"), std::string::npos);
  EXPECT_NE(reason("- a\n").find("p.yaml:1:"), std::string::npos);
  EXPECT_NE(reason("").find("p.yaml:1:"), std::string::npos);
  EXPECT_NE(reason("key: x\ntitle: X\nprompt_suffix: " + std::string(9000, 'a')).find("longer than"),
            std::string::npos);
}

}  // namespace
}  // namespace pixelfleet::catalog
