#include "daemon/http_client.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include "daemon/clock.hpp"
#include "wire/http/response.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;
using wire::http::Url;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> look_up(const Url& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found);
  if (code != 0) {
    return make_error(ErrorCode::kNotFound, fmt::format("the name '{}' has no address ({})",
                                                        url.host, gai_strerror(code)));
  }
  return Addresses(found);
}

// Until the descriptor is ready or the time is over.
Status wait_for(int fd, short events, Instant deadline) {
  for (;;) {
    const Instant now = monotonic_now();
    if (now >= deadline) return make_error(ErrorCode::kTimeout, "it took too long");
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>((deadline - now) / 1ms) + 1);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return make_error(ErrorCode::kSystem, std::strerror(errno));
  }
}

Result<Fd> connect_one(const addrinfo& address, Instant deadline) {
  Fd fd(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return make_error(ErrorCode::kSystem, std::strerror(errno));
  if (connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return make_error(ErrorCode::kSystem, std::strerror(errno));
  TRY(wait_for(fd.get(), POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return make_error(ErrorCode::kSystem, std::strerror(error));
  return fd;
}

Result<Fd> connect_any(const Url& url, Instant deadline) {
  TRY_ASSIGN(const Addresses addresses, look_up(url));
  Error last = make_error(ErrorCode::kNotFound, "the name has no address");
  std::size_t tried = 0;
  for (const addrinfo* one = addresses.get(); one != nullptr && tried < kHttpAddresses;
       one = one->ai_next, ++tried) {
    auto fd = connect_one(*one, std::min(deadline, monotonic_now() + kHttpConnect));
    if (fd) return fd;
    last = fd.error();
  }
  return make_error(last.code, "no connection: " + last.message);
}

Status send_all(int fd, ByteView octets, Instant deadline) {
  while (!octets.empty()) {
    const ssize_t sent = send(fd, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      octets = octets.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      TRY(wait_for(fd, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return make_error(ErrorCode::kSystem, std::strerror(errno));
    }
  }
  return {};
}

Status receive(int fd, wire::http::ResponseReader& reader, Instant deadline) {
  std::uint8_t chunk[16384];
  while (!reader.is_done()) {
    const ssize_t got = recv(fd, chunk, sizeof chunk, 0);
    if (got > 0) {
      TRY(reader.take({chunk, static_cast<std::size_t>(got)}));
    } else if (got == 0) {
      return reader.finish();
    } else if (errno == EAGAIN) {
      TRY(wait_for(fd, POLLIN, deadline));
    } else if (errno != EINTR) {
      return make_error(ErrorCode::kSystem, std::strerror(errno));
    }
    // A server that trickles keeps the thread no longer than one that is silent.
    if (monotonic_now() >= deadline) return make_error(ErrorCode::kTimeout, "it took too long");
  }
  return {};
}

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Result<Bytes> http_fetch(const HttpRequest& request) {
  const Instant deadline = monotonic_now() + kHttpTimeout;
  TRY_ASSIGN(Url url, wire::http::parse_url(request.url));
  for (unsigned followed = 0; followed <= kHttpRedirects; ++followed) {
    TRY_ASSIGN(const Fd fd, connect_any(url, deadline));
    TRY(send_all(fd.get(), wire::http::encode_request(url, request.body, request.content_type),
                 deadline));
    wire::http::ResponseReader reader(request.max_octets);
    TRY(receive(fd.get(), reader, deadline));
    if (reader.status() == 200) return reader.body();
    // A body is sent again only where the method stays (RFC 9110 section 15.4).
    const bool keeps_method = reader.status() == 307 || reader.status() == 308;
    if (!is_redirect(reader.status()) || (!request.body.empty() && !keeps_method)) {
      return make_error(ErrorCode::kPeerRefused,
                        fmt::format("the server answered {}", reader.status()));
    }
    TRY_ASSIGN(url, wire::http::resolve(url, reader.location()));
  }
  return make_error(ErrorCode::kLimit, fmt::format("more than {} redirects", kHttpRedirects));
}

struct HttpWorkers::Shared {
  std::mutex mutex;
  std::condition_variable work;
  std::deque<HttpRequest> waiting;
  std::vector<HttpAnswer> done;
  std::size_t threads = 0, idle = 0;
  bool stopping = false;
  Fd notify;
};

Result<std::unique_ptr<HttpWorkers>> HttpWorkers::create() {
  auto shared = std::make_shared<Shared>();
  shared->notify = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared->notify) {
    return make_error(ErrorCode::kSystem, std::string("eventfd: ") + std::strerror(errno));
  }
  return std::unique_ptr<HttpWorkers>(new HttpWorkers(std::move(shared)));
}

HttpWorkers::~HttpWorkers() {
  const std::lock_guard lock(shared_->mutex);
  shared_->stopping = true;
  shared_->waiting.clear();
  shared_->work.notify_all();
}

int HttpWorkers::fd() const { return shared_->notify.get(); }

void HttpWorkers::work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    ++shared->idle;
    shared->work.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
    --shared->idle;
    if (shared->stopping) return;
    const HttpRequest request = std::move(shared->waiting.front());
    shared->waiting.pop_front();
    lock.unlock();
    HttpAnswer answer{request.id, std::nullopt, {}};
    auto body = http_fetch(request);
    if (body) {
      answer.body = std::move(*body);
    } else {
      answer.error = body.error();
    }
    lock.lock();
    if (shared->stopping) return;
    shared->done.push_back(std::move(answer));
    const std::uint64_t one = 1;
    // Cannot fail: the counter is read long before it is full.
    static_cast<void>(!write(shared->notify.get(), &one, sizeof one));
  }
}

Status HttpWorkers::submit(HttpRequest request) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->waiting.size() >= kHttpQueue) {
    return make_error(ErrorCode::kBusy, "too many fetches wait already");
  }
  shared_->waiting.push_back(std::move(request));
  if (shared_->waiting.size() > shared_->idle && shared_->threads < kHttpThreads) {
    try {
      std::thread([shared = shared_] { work(shared); }).detach();
      ++shared_->threads;
    } catch (const std::system_error& error) {
      if (shared_->threads == 0) {
        shared_->waiting.pop_back();
        return make_error(ErrorCode::kSystem, fmt::format("no thread for it: {}", error.what()));
      }
    }
  }
  shared_->work.notify_one();
  return {};
}

std::vector<HttpAnswer> HttpWorkers::take() {
  const std::lock_guard lock(shared_->mutex);
  std::uint64_t count = 0;
  static_cast<void>(!read(shared_->notify.get(), &count, sizeof count));
  return std::exchange(shared_->done, {});
}

}  // namespace espalier::daemon
