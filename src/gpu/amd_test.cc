// AMD's gpus on trees that the tests write.
#include "gpu/amd.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <fstream>
#include <map>

#include "gpu/gpu_source.h"
#include "gpu/testing/collecting_inbox.h"
#include "gpu/testing/fake_driver.h"
#include "gpu/visible_devices.h"

namespace pixelfleet::gpu {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class Amd : public testing::Test {
 protected:
  Amd() {
    std::string folder = (fs::temp_directory_path() / "fake-sysfs-XXXXXX").string();
    root_ = ::mkdtemp(folder.data()) == nullptr ? "." : folder;
  }
  ~Amd() override {
    std::error_code ignored;
    if (root_ != ".") fs::remove_all(root_, ignored);
  }

  void write(const std::string& file, const std::string& text) const {
    const fs::path path = root_ / file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  // A card as the kernel shows it: class/drm/cardN/device is a link to its place on the bus.
  void add_card(int number, const std::string& address, const std::map<std::string, std::string>& files) const {
    const fs::path device = root_ / "devices/pci0000:00" / address;
    const fs::path card = root_ / ("class/drm/card" + std::to_string(number));
    fs::create_directories(device);
    fs::create_directories(card);
    fs::create_directory_symlink(device, card / "device");
    for (const auto& [file, text] : files) write(fs::relative(device, root_).string() + "/" + file, text);
  }
  static std::map<std::string, std::string> files(const std::map<std::string, std::string>& changes = {}) {
    std::map<std::string, std::string> all = {{"vendor", "0x1002"},
                                              {"device", "0x744c"},
                                              {"unique_id", "a1b2c3d4e5f60718"},
                                              {"product_name", "Radeon PRO W7900"},
                                              {"mem_info_vram_total", std::to_string(48 * kGiB)},
                                              {"mem_info_vram_used", std::to_string(3 * kGiB)},
                                              {"gpu_busy_percent", "37"},
                                              {"mem_busy_percent", "12"},
                                              {"uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:43:00.0"},
                                              {"current_link_speed", "16.0 GT/s PCIe"},
                                              {"current_link_width", "8"},
                                              {"max_link_speed", "32.0 GT/s PCIe"},
                                              {"max_link_width", "16"},
                                              {"hwmon/hwmon3/temp1_input", "61000"},
                                              {"hwmon/hwmon3/temp1_crit", "100000"},
                                              {"hwmon/hwmon3/temp1_emergency", "105000"},
                                              {"hwmon/hwmon3/power1_average", "187500000"},
                                              {"hwmon/hwmon3/power1_cap", "241000000"},
                                              {"hwmon/hwmon3/freq1_input", "2495000000"},
                                              {"hwmon/hwmon3/freq2_input", "1124000000"}};
    for (const auto& [file, text] : changes) all[file] = text;
    return all;
  }
  // The uuids in order.
  std::vector<std::string> uuids() const {
    std::vector<std::string> result;
    for (const Reading& reading : read_amd_gpus(root_)) result.push_back(reading.gpu.uuid);
    return result;
  }

  fs::path root_;
};

TEST_F(Amd, ReadsEverythingThatTheDriverTells) {
  add_card(1, "0000:43:00.0", files());
  write("class/drm/card1-DP-1/status", "disconnected");
  const auto readings = read_amd_gpus(root_);
  ASSERT_THAT(readings, SizeIs(1));
  EXPECT_EQ(readings[0].gpu, (Gpu{"GPU-a1b2c3d4e5f60718", 0, "Radeon PRO W7900", GpuKind::amd, 48 * kGiB}));
  GpuSample expected;
  expected.uuid = "GPU-a1b2c3d4e5f60718";
  expected.memory_used_bytes = 3 * kGiB;
  expected.memory_free_bytes = 45 * kGiB;
  expected.utilization_ratio = 0.37;
  expected.temperature_celsius = 61;
  expected.power_watts = 187.5;
  expected.detail.pci_bus_id = "0000:43:00.0";
  expected.detail.memory_utilization_ratio = 0.12;
  expected.detail.temperature_slowdown_celsius = 100;
  expected.detail.temperature_shutdown_celsius = 105;
  expected.detail.power_limit_watts = 241;
  expected.detail.sm_clock_hertz = 2.495e9;
  expected.detail.memory_clock_hertz = 1.124e9;
  expected.detail.pcie_generation = 4;
  expected.detail.pcie_width = 8;
  expected.detail.pcie_generation_max = 5;
  expected.detail.pcie_width_max = 16;
  expected.detail.display_active = false;
  EXPECT_EQ(readings[0].sample, expected);
  const Report report{Driver::working, "", readings};
  EXPECT_EQ(report_from_line(to_line(report)).value(), report) << "through the pipe";
}

TEST_F(Amd, WithoutSuchATreeThereAreNone) {
  EXPECT_THAT(read_amd_gpus(root_), IsEmpty());
  EXPECT_THAT(read_amd_gpus(root_ / "nothing"), IsEmpty());
}

TEST_F(Amd, OtherVendorsAndConnectorsAreNoGpus) {
  add_card(0, "0000:01:00.0", files({{"vendor", "0x10de"}}));
  add_card(1, "0000:02:00.0", files({{"vendor", "0x8086"}}));
  write("class/drm/card2-HDMI-A-1/device/vendor", "0x1002");
  write("class/drm/card/device/vendor", "0x1002");
  write("class/drm/renderD128/device/vendor", "0x1002");
  EXPECT_THAT(uuids(), IsEmpty());
}

TEST_F(Amd, GraphicsInAProcessorAreNoGpu) {
  add_card(0, "0000:0c:00.0", files({{"mem_info_vram_total", std::to_string(kGiB / 2)}}));
  EXPECT_THAT(uuids(), IsEmpty());
}

TEST_F(Amd, AMissingFileIsAnUnknownValue) {
  add_card(0, "0000:43:00.0",
           {{"vendor", "0x1002"}, {"device", "0x744c"}, {"mem_info_vram_total", std::to_string(16 * kGiB)}});
  const auto readings = read_amd_gpus(root_);
  ASSERT_THAT(readings, SizeIs(1));
  EXPECT_EQ(readings[0].gpu, (Gpu{"AMD-0000:43:00.0", 0, "AMD gpu 0x744c", GpuKind::amd, 16 * kGiB}));
  GpuSample expected;
  expected.uuid = "AMD-0000:43:00.0";
  expected.detail.pci_bus_id = "0000:43:00.0";
  EXPECT_EQ(readings[0].sample, expected);
}

TEST_F(Amd, GarbageIsAnUnknownValue) {
  add_card(0, "0000:43:00.0",
           files({{"mem_info_vram_used", "18446744073709551615"},
                  {"gpu_busy_percent", "255"},
                  {"mem_busy_percent", "-3"},
                  {"unique_id", "none of your business"},
                  {"product_name", "Radeon\x01\xff"},
                  {"uevent", "PCI_SLOT_NAME=somewhere"},
                  {"current_link_speed", "Unknown"},
                  {"current_link_width", "255"},
                  {"hwmon/hwmon3/temp1_input", "-40000"},
                  {"hwmon/hwmon3/power1_average", "12 apples"}}));
  const auto readings = read_amd_gpus(root_);
  ASSERT_THAT(readings, SizeIs(1));
  EXPECT_EQ(readings[0].gpu.uuid, "AMD-0000:43:00.0") << "by the link";
  EXPECT_EQ(readings[0].gpu.name, "Radeon ?");
  const GpuSample& sample = readings[0].sample;
  EXPECT_FALSE(sample.memory_used_bytes || sample.memory_free_bytes || sample.utilization_ratio);
  EXPECT_FALSE(sample.temperature_celsius || sample.power_watts || sample.detail.pcie_generation);
  EXPECT_FALSE(sample.detail.pcie_width || sample.detail.memory_utilization_ratio);
}

TEST_F(Amd, MoreUsedThanThereIsIsUnknown) {
  add_card(0, "0000:43:00.0", files({{"mem_info_vram_used", std::to_string(49 * kGiB)}}));
  EXPECT_FALSE(read_amd_gpus(root_).at(0).sample.memory_used_bytes);
}

TEST_F(Amd, CardsAreNumberedByTheirPlaceOnTheBus) {
  add_card(0, "0000:83:00.0", files({{"unique_id", "b"}, {"uevent", "PCI_SLOT_NAME=0000:83:00.0"}}));
  add_card(1, "0000:03:00.0", files({{"unique_id", "a"}, {"uevent", "PCI_SLOT_NAME=0000:03:00.0"}}));
  EXPECT_THAT(uuids(), ElementsAre("GPU-a", "GPU-b"));
  EXPECT_EQ(read_amd_gpus(root_)[1].gpu.index, 1);
}

TEST_F(Amd, TwoCardsOfOneNumberAreToldApart) {
  add_card(0, "0000:03:00.0", files({{"uevent", "PCI_SLOT_NAME=0000:03:00.0"}}));
  add_card(1, "0000:83:00.0", files({{"uevent", "PCI_SLOT_NAME=0000:83:00.0"}}));
  EXPECT_THAT(uuids(), ElementsAre("GPU-a1b2c3d4e5f60718", "AMD-0000:83:00.0"));
}

TEST_F(Amd, ACardThatVanishesLeavesTheListAndTheOthersStay) {
  add_card(0, "0000:03:00.0", files({{"unique_id", "a"}}));
  add_card(1, "0000:83:00.0", files({{"unique_id", "b"}}));
  EXPECT_THAT(uuids(), SizeIs(2));
  fs::remove_all(root_ / "devices/pci0000:00/0000:03:00.0");  // the link now leads nowhere
  EXPECT_THAT(uuids(), ElementsAre("GPU-b"));
  fs::remove(root_ / "devices/pci0000:00/0000:83:00.0/mem_info_vram_total");
  EXPECT_THAT(uuids(), IsEmpty());
}

TEST_F(Amd, AScreenAtAnyConnectorMakesADisplay) {
  add_card(0, "0000:03:00.0", files());
  EXPECT_EQ(read_amd_gpus(root_).at(0).sample.detail.display_active, std::nullopt);
  write("class/drm/card0-DP-1/status", "disconnected");
  write("class/drm/card0-HDMI-A-1/status", "connected");
  write("class/drm/card00-DP-1/status", "connected");
  EXPECT_EQ(read_amd_gpus(root_).at(0).sample.detail.display_active, true);
}

TEST_F(Amd, TheyAreNumberedOnBehindNvidias) {
  add_card(0, "0000:03:00.0", files());
  Report nvidia;
  nvidia.readings.resize(1);
  nvidia.failing.push_back({3, "GPU-lost", 15, {}});
  const Report both = with_amd_gpus(nvidia, read_amd_gpus(root_));
  ASSERT_THAT(both.readings, SizeIs(2));
  EXPECT_EQ(both.readings[1].gpu.index, 4);
  const Report alone = with_amd_gpus({Driver::absent, "no driver", {}}, read_amd_gpus(root_));
  EXPECT_EQ(alone.driver, Driver::working);
  EXPECT_THAT(alone.readings, SizeIs(1));
  EXPECT_EQ(with_amd_gpus({Driver::failing, "18", {}}, read_amd_gpus(root_)).driver, Driver::failing);
  EXPECT_EQ(with_amd_gpus({Driver::absent, "no driver", {}}, {}).driver, Driver::absent);
}

TEST_F(Amd, TheMonitorTellsThemWhereNoNvidiaDriverIs) {
  add_card(0, "0000:03:00.0", files());
  ::setenv("PIXELFLEET_SYSFS_ROOT", root_.c_str(), 1);
  ::setenv("PIXELFLEET_NVML_LIBRARY", "libnothing-of-the-kind.so.1", 1);
  CollectingInbox inbox;
  {
    GpuSource::Options options;
    options.monitor_command = {this_program(), "gpu-monitor"};
    const auto source = GpuSource::start(options, inbox).value();
    const auto seen = inbox.wait_for<control::GpusSeen>();
    ASSERT_TRUE(seen);
    ASSERT_THAT(seen->gpus, SizeIs(1));
    EXPECT_EQ(seen->gpus[0].kind, GpuKind::amd);
    const auto samples = inbox.wait_for<control::GpuSamples>();
    ASSERT_TRUE(samples);
    EXPECT_EQ(samples->samples[0].temperature_celsius, 61);
    fs::remove_all(root_ / "class");
    EXPECT_TRUE(inbox.wait_for<control::GpusSeen>([](const auto& now) { return now.gpus.empty(); }));
  }
  ::setenv("PIXELFLEET_SYSFS_ROOT", "/nonexistent", 1);
  ::unsetenv("PIXELFLEET_NVML_LIBRARY");
}

}  // namespace
}  // namespace pixelfleet::gpu
