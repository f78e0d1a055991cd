#include "simulator/trace_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace pixelfleet::simulator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kHeader = "arrival_s,user,model,images,steps,pixels\n";

std::string jobs_error(std::string_view text, int models = 3) {
  const auto jobs = parse_jobs(text, "jobs.csv", models);
  return jobs ? "no error" : jobs.error().message;
}

TEST(TraceFiles, ReadJobsInTheAnchorsFormat) {
  const auto jobs = parse_jobs(std::string(kHeader) + "0,0,2,1,20,1048576\n18.5,1,0,4,30,262144\n", "jobs.csv", 3);
  ASSERT_TRUE(jobs) << jobs.error().message;
  ASSERT_EQ(jobs->size(), 2u);
  EXPECT_EQ((*jobs)[0].model, 2);
  EXPECT_DOUBLE_EQ((*jobs)[1].arrival_s, 18.5);
  EXPECT_EQ((*jobs)[1].user, 1);
  EXPECT_EQ((*jobs)[1].images, 4);
  EXPECT_EQ((*jobs)[1].steps, 30);
  EXPECT_DOUBLE_EQ((*jobs)[1].pixels, 512.0 * 512.0);
  EXPECT_EQ((*jobs)[1].priority, Priority::normal);
}

TEST(TraceFiles, ColumnsMayComeInAnyOrderAndOptionalOnesMayBeMissing) {
  const auto jobs =
      parse_jobs("\xEF\xBB\xBFsteps, images,model,user,arrival_s,priority,lora_set\r\n30,1,0,7,2,background,9\r\n\r\n",
                 "jobs.csv", 1);
  ASSERT_TRUE(jobs) << jobs.error().message;
  ASSERT_EQ(jobs->size(), 1u);
  EXPECT_EQ((*jobs)[0].user, 7);
  EXPECT_EQ((*jobs)[0].lora_set, 9);
  EXPECT_EQ((*jobs)[0].priority, Priority::background);
  EXPECT_DOUBLE_EQ((*jobs)[0].pixels, 1024.0 * 1024.0);
}

TEST(TraceFiles, JobsAreSortedByArrivalAndTiesKeepTheirOrder) {
  const auto jobs =
      parse_jobs("arrival_s,user,model,images,steps\n5,1,0,1,20\n1,2,0,1,20\n5,3,0,1,20\n", "jobs.csv", 1);
  ASSERT_TRUE(jobs) << jobs.error().message;
  EXPECT_EQ((*jobs)[0].user, 2);
  EXPECT_EQ((*jobs)[1].user, 1);
  EXPECT_EQ((*jobs)[2].user, 3);
}

TEST(TraceFiles, AWrongCellIsToldWithLineColumnAndRange) {
  const std::string header(kHeader);
  EXPECT_THAT(jobs_error(header + "0,0,0,1,20,1048576\n-1,0,0,1,20,1048576\n"),
              AllOf(HasSubstr("jobs.csv, line 3, column 1 (arrival_s): \"-1\""), HasSubstr("a number from 0 to ")));
  EXPECT_THAT(jobs_error(header + "nan,0,0,1,20,1048576\n"), HasSubstr("line 2, column 1 (arrival_s): \"nan\""));
  EXPECT_THAT(jobs_error(header + "inf,0,0,1,20,1048576\n"), HasSubstr("line 2, column 1 (arrival_s): \"inf\""));
  EXPECT_THAT(jobs_error(header + "1e999,0,0,1,20,1048576\n"), HasSubstr("column 1 (arrival_s)"));
  EXPECT_THAT(jobs_error(header + "0,0,3,1,20,1048576\n"),
              HasSubstr("line 2, column 3 (model): \"3\" (allowed: a whole number from 0 to 2)"));
  EXPECT_THAT(jobs_error(header + "0,0,0,0,20,1048576\n"),
              HasSubstr("column 4 (images): \"0\" (allowed: a whole number from 1 to 1000)"));
  EXPECT_THAT(jobs_error(header + "0,0,0,1,20.5,1048576\n"), HasSubstr("column 5 (steps): \"20.5\""));
  EXPECT_THAT(jobs_error(header + "0,0,0,1,20,\n"), HasSubstr("column 6 (pixels): \"\""));
  EXPECT_THAT(jobs_error("arrival_s,user,model,images,steps,priority\n0,0,0,1,20,urgent\n"),
              HasSubstr("column 6 (priority): \"urgent\" (allowed: interactive, normal, background)"));
}

TEST(TraceFiles, ABrokenLineIsToldWithItsNumber) {
  EXPECT_THAT(jobs_error(std::string(kHeader) + "0,0,0,1\n"),
              HasSubstr("jobs.csv, line 2: has 4 cells (allowed: 6 cells"));
  EXPECT_THAT(jobs_error(std::string(kHeader) + "\n0,0,0,1,20,1048576\n"), HasSubstr("jobs.csv, line 2: is empty"));
  EXPECT_THAT(jobs_error(std::string(kHeader) + "0,0,0,1,20,1048576\n0,\xFF,0,1,20,1048576\n"),
              HasSubstr("jobs.csv, line 3: holds bytes that are not text"));
}

TEST(TraceFiles, AWrongHeaderNamesTheColumn) {
  EXPECT_THAT(
      jobs_error("arrival_s,user,model,images,steps,colour\n0,0,0,1,20,red\n"),
      AllOf(HasSubstr("jobs.csv, line 1, column 6 (colour): unknown column"), HasSubstr("arrival_s,user,model")));
  EXPECT_THAT(jobs_error("arrival_s,user,model,images\n0,0,0,1\n"), HasSubstr("the column \"steps\" is missing"));
  EXPECT_THAT(jobs_error("arrival_s,user,user,model,images,steps\n0,0,0,0,1,20\n"),
              HasSubstr("column 3 (user): named twice"));
  EXPECT_THAT(jobs_error(""), HasSubstr("jobs.csv: is empty"));
  EXPECT_THAT(jobs_error(kHeader), HasSubstr("lists no job"));
}

TEST(TraceFiles, SeveralErrorsAreToldAtOnceUpToALimit) {
  std::string text(kHeader);
  for (int i = 0; i < 100; ++i) text += "x,0,0,1,20,1048576\n";
  const auto jobs = parse_jobs(text, "jobs.csv", 1);
  ASSERT_FALSE(jobs);
  EXPECT_EQ(jobs.error().fields.size(), kMaxReportedErrors);
  EXPECT_EQ(jobs.error().code, ErrorCode::invalid_argument);
}

TEST(TraceFiles, ReadModels) {
  const auto models = parse_models("model,family,gigabytes\n0,FLUX8,17\n1,SDXL,6.9\n", "models.csv");
  ASSERT_TRUE(models) << models.error().message;
  ASSERT_EQ(models->size(), 2u);
  EXPECT_EQ((*models)[0].family, "FLUX8");
  EXPECT_DOUBLE_EQ((*models)[1].bytes, 6.9e9);
}

TEST(TraceFiles, WrongModelsAreTold) {
  const auto error = [](std::string_view text) {
    const auto models = parse_models(text, "models.csv");
    return models ? "no error" : models.error().message;
  };
  EXPECT_THAT(
      error("model,family,gigabytes\n0,SDXLL,6.9\n"),
      HasSubstr("models.csv, line 2, column 2 (family): unknown family \"SDXLL\" (allowed: SD15, SDXL, SD35L, FLUX8)"));
  EXPECT_THAT(error("model,family,gigabytes\n0,SDXL,0\n"), HasSubstr("column 3 (gigabytes): \"0\""));
  EXPECT_THAT(error("model,family,gigabytes\n1,SDXL,6.9\n"), HasSubstr("column 1 (model): \"1\" (allowed: 0"));
  EXPECT_THAT(error("model,family,gigabytes\n"), HasSubstr("lists no model"));
}

TEST(TraceFiles, ReadAMachine) {
  const auto machine =
      parse_machine("H100-80\n4090-24\n4090-24\nhost_gigabytes 128\ndisk_gigabytes_per_second 0.25\n", "m.txt");
  ASSERT_TRUE(machine) << machine.error().message;
  EXPECT_THAT(machine->gpus, ElementsAre("H100-80", "4090-24", "4090-24"));
  EXPECT_DOUBLE_EQ(machine->host_bytes, 128e9);
  EXPECT_DOUBLE_EQ(machine->disk_bytes_per_second, 0.25e9);
  EXPECT_DOUBLE_EQ(machine->fast_disk_bytes_per_second, 0.25e9);
}

TEST(TraceFiles, AWrongMachineIsTold) {
  const auto error = [](const std::string& text) {
    const auto machine = parse_machine(text, "m.txt");
    return machine ? "no error" : machine.error().message;
  };
  EXPECT_THAT(error("4090-24\n9xZZZ\n"),
              AllOf(HasSubstr("m.txt, line 2, column 1"), HasSubstr("\"9xZZZ\""), HasSubstr("H100-80")));
  EXPECT_THAT(error("4090-24\nhost_gigabytes many\n"), HasSubstr("m.txt, line 2, column 2 (host_gigabytes): \"many\""));
  EXPECT_THAT(error("4090-24\ndisk_gigabytes_per_second 0\n"), HasSubstr("(disk_gigabytes_per_second): \"0\""));
  EXPECT_THAT(error("host_gigabytes 64\n"), HasSubstr("names no gpu"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += "4090-24\n";
  EXPECT_THAT(error(many),
              HasSubstr("m.txt, line 65, column 1 (gpu type): one gpu too many (allowed: at most 64 gpus)"));
}

TEST(TraceFiles, ASpecBecomesTypesOfTheTable) {
  const auto machine = machine_of_spec("H100+2x4090+A100+V100+24GiB");
  ASSERT_TRUE(machine) << machine.error().message;
  EXPECT_THAT(machine->gpus, ElementsAre("H100-80", "4090-24", "4090-24", "A100-80", "V100-16", "4090-24"));
}

TEST(TraceFiles, ACardTellsAnA100sSizeByItsMemory) {
  const auto types = gpu_types_of({{GpuUuid("GPU-0"), 0, "NVIDIA A100-SXM4-40GB", GpuKind::nvidia, 42'949'672'960},
                                   {GpuUuid("GPU-1"), 1, "NVIDIA A100 80GB PCIe", GpuKind::nvidia, 85'899'345'920}});
  ASSERT_TRUE(types) << types.error().message;
  EXPECT_THAT(*types, ElementsAre("A100-40", "A100-80"));
}

TEST(TraceFiles, AnUnknownCardIsRefusedWithTheKnownTypes) {
  for (const char* spec : {"3090", "8GiB", "cpu:1", "H100+3060"}) {
    const auto machine = machine_of_spec(spec);
    ASSERT_FALSE(machine) << spec;
    EXPECT_THAT(machine.error().message, AllOf(HasSubstr("knows no run times"), HasSubstr("4090-24"))) << spec;
  }
  const auto broken = machine_of_spec("9xZZZ");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("gpus: \"9xZZZ\": neither a memory size nor a card we know"));
}

class TraceFolder : public ::testing::Test {
 protected:
  TraceFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "trace-files-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~TraceFolder() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  std::filesystem::path folder_;
};

TEST_F(TraceFolder, ThreeFilesMakeATrace) {
  const auto trace = read_trace_files({write("mine.csv", std::string(kHeader) + "3,0,0,1,20,1048576\n"),
                                       write("models.csv", "model,family,gigabytes\n0,SDXL,6.9\n"),
                                       write("machine.txt", "4090-24\n")});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->name, "mine");
  EXPECT_EQ(trace->jobs.size(), 1u);
  EXPECT_EQ(trace->models.size(), 1u);
  EXPECT_THAT(trace->machine.gpus, ElementsAre("4090-24"));
}

TEST_F(TraceFolder, AMissingFileAndAFolderAreRefused) {
  const auto missing = read_trace_text((folder_ / "none.csv").string());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("none.csv"));
  const auto folder = read_trace_text(folder_.string());
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("is not a file"));
}

}  // namespace
}  // namespace pixelfleet::simulator
