// How fast a running server accepts jobs: closed-loop keep-alive clients, each posts one job and waits for its 201.
//
// submit_bench PORT [SECONDS [MODEL]] runs 1 client, then 64, and prints rate, p50, p99 and the slowest of each. The
// server is started beforehand (`pixelfleet serve ...`); its jobs are real ones, so use a scratch data directory.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/unique_fd.h"

namespace {

using pixelfleet::UniqueFd;
using Steady = std::chrono::steady_clock;

struct Client {
  UniqueFd fd;
  Steady::time_point sent_at;
  std::string received;
};

struct Outcome {
  std::vector<double> milliseconds;
  int refused = 0;
};

UniqueFd connect_to(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::fprintf(stderr, "submit_bench: no server on 127.0.0.1:%d; start one with: pixelfleet serve --port %d\n", port,
                 port);
    std::exit(1);
  }
  return fd;
}

std::string request_text(const std::string& model) {
  std::string body =
      R"({"prompt":"a lighthouse on a cliff, morning light, calm sea","steps":20,"width":512,"height":512)";
  if (!model.empty()) body += pixelfleet::format(R"(,"model":"{}")", model);
  body += "}";
  return pixelfleet::format(
      "POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

void post(Client& client, const std::string& request) {
  client.received.clear();
  client.sent_at = Steady::now();
  if (::send(client.fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    std::fprintf(stderr, "submit_bench: the server closed a connection\n");
    std::exit(1);
  }
}

// Whether the whole answer is there.
bool receive(Client& client) {
  char piece[16384];
  const ssize_t got = ::recv(client.fd.get(), piece, sizeof piece, MSG_DONTWAIT);
  if (got == 0) {
    std::fprintf(stderr, "submit_bench: the server closed a connection\n");
    std::exit(1);
  }
  if (got > 0) client.received.append(piece, static_cast<std::size_t>(got));
  const std::size_t head = client.received.find("\r\n\r\n");
  if (head == std::string::npos) return false;
  const std::size_t length = client.received.find("Content-Length: ");
  const std::size_t body = std::strtoul(client.received.c_str() + length + 16, nullptr, 10);
  return client.received.size() >= head + 4 + body;
}

Outcome run(int port, std::size_t count, double seconds, const std::string& request) {
  std::vector<Client> clients(count);
  std::vector<pollfd> waits(count);
  for (std::size_t i = 0; i < count; ++i) {
    clients[i].fd = connect_to(port);
    waits[i] = {clients[i].fd.get(), POLLIN, 0};
    post(clients[i], request);
  }
  Outcome outcome;
  const Steady::time_point end =
      Steady::now() + std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
  while (Steady::now() < end) {
    ::poll(waits.data(), waits.size(), 100);
    for (std::size_t i = 0; i < count; ++i) {
      if ((waits[i].revents & POLLIN) == 0 || !receive(clients[i])) continue;
      if (clients[i].received.compare(9, 3, "201") == 0) {
        outcome.milliseconds.push_back(
            std::chrono::duration<double, std::milli>(Steady::now() - clients[i].sent_at).count());
      } else if (++outcome.refused == 1) {
        std::fprintf(stderr, "submit_bench: refused: %s\n", clients[i].received.c_str());
      }
      post(clients[i], request);
    }
  }
  return outcome;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: submit_bench PORT [SECONDS [MODEL]]\n");
    return 2;
  }
  const int port = std::atoi(argv[1]);
  const double seconds = argc > 2 ? std::atof(argv[2]) : 5.0;
  const std::string request = request_text(argc > 3 ? argv[3] : "");
  std::printf("%8s %12s %10s %10s %10s %9s\n", "clients", "submits/s", "p50 ms", "p99 ms", "max ms", "refused");
  for (const std::size_t clients : {std::size_t{1}, std::size_t{64}}) {
    Outcome outcome = run(port, clients, seconds, request);
    std::vector<double>& times = outcome.milliseconds;
    if (times.empty()) times.push_back(0.0);
    std::sort(times.begin(), times.end());
    const auto quantile = [&](double q) {
      return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))];
    };
    std::printf("%8zu %12.0f %10.2f %10.2f %10.2f %9d\n", clients, static_cast<double>(times.size()) / seconds,
                quantile(0.5), quantile(0.99), times.back(), outcome.refused);
  }
  return 0;
}
