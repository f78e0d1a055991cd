#include "ipc/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>
#include <vector>

#include "ipc/sealed_buffer.h"

namespace pixelfleet::ipc {
namespace {

using ::testing::HasSubstr;

int open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// Sends what no Channel would send.
void send_raw(int socket, std::string_view text, const std::vector<int>& descriptors) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), sizeof(int) * descriptors.size());
  }
  ASSERT_GE(sendmsg(socket, &header, MSG_NOSIGNAL), 0) << strerror(errno);
}

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() {
    auto pair = Channel::open_pair();
    near_ = std::make_unique<Channel>(std::move(pair->first));
    far_ = std::make_unique<Channel>(std::move(pair->second));
  }

  Frame expect_frame() {
    auto received = near_->receive(Wait::no);
    EXPECT_TRUE(received) << received.error().message;
    Frame* frame = received ? std::get_if<Frame>(&*received) : nullptr;
    EXPECT_NE(frame, nullptr);
    return frame != nullptr ? std::move(*frame) : Frame{};
  }

  std::string expect_error() {
    auto received = near_->receive(Wait::no);
    EXPECT_FALSE(received);
    return received ? "" : received.error().message;
  }

  std::unique_ptr<Channel> near_;
  std::unique_ptr<Channel> far_;
};

TEST_F(ChannelTest, CarriesTextAndMemory) {
  auto memory = seal(bytes_of("pixels"), "test");
  ASSERT_TRUE(memory);
  ASSERT_TRUE(far_->send("header", memory->get(), Wait::yes));
  Frame frame = expect_frame();
  EXPECT_EQ(frame.text, "header");
  EXPECT_TRUE(fcntl(frame.memory.get(), F_GETFD) & FD_CLOEXEC);
  auto mapped = SealedBuffer::map(std::move(frame.memory), 6);
  ASSERT_TRUE(mapped) << mapped.error().message;
  EXPECT_EQ(std::string(mapped->bytes().begin(), mapped->bytes().end()), "pixels");
}

TEST_F(ChannelTest, KeepsFramesApartAndInOrder) {
  ASSERT_TRUE(far_->send("one", Wait::yes));
  ASSERT_TRUE(far_->send("two", Wait::yes));
  EXPECT_EQ(expect_frame().text, "one");
  EXPECT_EQ(expect_frame().text, "two");
}

TEST_F(ChannelTest, SaysNothingYetOnAnEmptySocket) {
  auto received = near_->receive(Wait::no);
  ASSERT_TRUE(received);
  EXPECT_TRUE(std::holds_alternative<NothingYet>(*received));
}

TEST_F(ChannelTest, SaysClosedWhenThePeerEnds) {
  ASSERT_TRUE(far_->send("last words", Wait::yes));
  far_.reset();
  EXPECT_EQ(expect_frame().text, "last words");
  auto received = near_->receive(Wait::yes);
  ASSERT_TRUE(received);
  EXPECT_TRUE(std::holds_alternative<PeerClosed>(*received));
  auto sent = near_->send("hello?", Wait::yes);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::unavailable);
}

TEST_F(ChannelTest, SendsTextsAroundTheInlineLimitUnchanged) {
  for (const std::size_t size : {kMaxInlineBytes - 1, kMaxInlineBytes, kMaxInlineBytes + 1, kMaxTextBytes}) {
    const std::string text(size, 'x');
    ASSERT_TRUE(far_->send(text, Wait::yes));
    EXPECT_EQ(expect_frame().text, text) << size;
  }
}

TEST_F(ChannelTest, RefusesToSendWhatTheOtherSideWouldRefuse) {
  EXPECT_FALSE(far_->send("", Wait::yes));
  EXPECT_FALSE(far_->send(std::string(kMaxTextBytes + 1, 'x'), Wait::yes));
  auto memory = seal(bytes_of("p"), "test");
  EXPECT_FALSE(far_->send(std::string(kMaxInlineBytes + 1, 'x'), memory->get(), Wait::yes));
}

TEST_F(ChannelTest, DoesNotBlockOnAPeerThatDoesNotRead) {
  const std::string text(32 * 1024, 'x');
  int sent = 0;
  while (true) {
    auto result = far_->send(text, Wait::no);
    ASSERT_TRUE(result);
    if (*result == Sent::would_block) break;
    ASSERT_LT(++sent, 10'000);
  }
  EXPECT_GT(sent, 0);
  EXPECT_EQ(expect_frame().text, text);
}

TEST_F(ChannelTest, CallsAnEmptyFrameMalformedAndAClosedPeerClosed) {
  send_raw(far_->fd(), "", {});
  EXPECT_THAT(expect_error(), HasSubstr("empty"));
}

TEST_F(ChannelTest, RefusesFramesLongerThanTheLimit) {
  send_raw(far_->fd(), std::string(kMaxInlineBytes + 1, 'x'), {});
  EXPECT_THAT(expect_error(), HasSubstr("longer"));
}

TEST_F(ChannelTest, ClosesEveryDescriptorOfAFlood) {
  const int before = open_descriptors();
  for (const std::size_t count : {2u, 8u, 9u, 253u}) {
    send_raw(far_->fd(), "flood", std::vector<int>(count, 0));
    EXPECT_THAT(expect_error(), HasSubstr("descriptor")) << count;
  }
  send_raw(far_->fd(), "", {0});
  EXPECT_THAT(expect_error(), HasSubstr("empty"));
  send_raw(far_->fd(), std::string(kMaxInlineBytes + 1, 'x'), {0});
  EXPECT_THAT(expect_error(), HasSubstr("longer"));
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(ChannelTest, RefusesALargeMarkerWithoutSealedMemory) {
  send_raw(far_->fd(), R"({"type":"large"})", {});
  EXPECT_THAT(expect_error(), HasSubstr("not a memfd"));
  UniqueFd unsealed(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 100), 0);
  send_raw(far_->fd(), R"({"type":"large"})", {unsealed.get()});
  EXPECT_THAT(expect_error(), HasSubstr("not sealed"));
  auto too_long = seal(std::vector<std::uint8_t>(kMaxTextBytes + 1), "test");
  send_raw(far_->fd(), R"({"type":"large"})", {too_long->get()});
  EXPECT_THAT(expect_error(), HasSubstr("at most"));
}

TEST_F(ChannelTest, KeepsNoDescriptorAfterTenThousandFrames) {
  const int before = open_descriptors();
  auto memory = seal(bytes_of("pixels"), "test");
  for (int i = 0; i < 10'000; ++i) {
    if (i % 2 == 0) {
      ASSERT_TRUE(far_->send("header", memory->get(), Wait::yes));
    } else {
      send_raw(far_->fd(), "flood", {memory->get(), memory->get()});
    }
    EXPECT_EQ(near_->receive(Wait::no).has_value(), i % 2 == 0);
  }
  memory->reset();
  EXPECT_EQ(open_descriptors(), before);
}

TEST(SealedBuffer, RefusesMemoryThatCouldStillChange) {
  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_GROW | F_SEAL_WRITE}) {
    UniqueFd memory(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(ftruncate(memory.get(), 4096), 0);
    ASSERT_EQ(fcntl(memory.get(), F_ADD_SEALS, seals), 0);
    EXPECT_FALSE(SealedBuffer::map(std::move(memory), 4096)) << seals;
  }
}

TEST(SealedBuffer, RefusesAnotherSizeThanAnnounced) {
  for (const std::size_t announced : {0u, 5u, 7u, 4096u}) {
    auto memory = seal(bytes_of("pixels"), "test");
    auto mapped = SealedBuffer::map(std::move(*memory), announced);
    ASSERT_FALSE(mapped) << announced;
    EXPECT_THAT(mapped.error().message, HasSubstr("6 bytes"));
  }
  EXPECT_FALSE(SealedBuffer::map(std::move(*seal({}, "test")), 0));
}

TEST(SealedBuffer, RefusesDescriptorsThatAreNoMemfd) {
  EXPECT_FALSE(SealedBuffer::map(UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC)), 6));
  EXPECT_FALSE(SealedBuffer::map(UniqueFd(open("/etc/hostname", O_RDONLY | O_CLOEXEC)), 6));
  EXPECT_FALSE(SealedBuffer::map(UniqueFd(), 6));
}

TEST(SealedBuffer, CannotBeChangedBySomebodyWhoKeptTheDescriptor) {
  auto memory = seal(bytes_of("pixels"), "test");
  EXPECT_LT(pwrite(memory->get(), "x", 1, 0), 0);
  EXPECT_NE(ftruncate(memory->get(), 0), 0);
  EXPECT_NE(fcntl(memory->get(), F_ADD_SEALS, 0), 0);
}

}  // namespace
}  // namespace pixelfleet::ipc
