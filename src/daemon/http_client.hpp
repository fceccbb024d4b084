// Fetches over HTTP, for revocation lists and OCSP: small answers of servers that certificates
// name. A few threads do the waiting, name look-ups included; the control thread hears by a
// descriptor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {

struct HttpRequest {
  std::uint64_t id = 0;
  std::string url;
  Bytes body;  // empty: GET, else POST
  std::string content_type;
  std::size_t max_octets = 0;  // of the answer
};

struct HttpAnswer {
  std::uint64_t id = 0;
  std::optional<Error> error;  // the end of a sentence: "... could not be had from URL: error"
  Bytes body;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // kBusy: too many wait already.
  virtual Status submit(HttpRequest request) = 0;
  virtual std::vector<HttpAnswer> take() = 0;
};

// The limits of one fetch. Redirects are followed within http.
inline constexpr unsigned kHttpRedirects = 3;
inline constexpr std::size_t kHttpAddresses = 4;  // of a name, tried in turn
inline constexpr Duration kHttpConnect = 3s;      // each
inline constexpr Duration kHttpTimeout = 30s;     // all of it but the look-up of the name
inline constexpr std::size_t kHttpThreads = 4;    // fetches at the same time
inline constexpr std::size_t kHttpQueue = 64;     // that wait for a thread

class HttpWorkers final : public HttpClient {
 public:
  // No thread runs before the first request. Errors: kSystem.
  static Result<std::unique_ptr<HttpWorkers>> create();
  // Does not wait for threads that look up a name: they end by themselves and touch nothing of
  // ours.
  ~HttpWorkers() override;
  Status submit(HttpRequest request) override;
  std::vector<HttpAnswer> take() override;
  // Readable while take() has something.
  int fd() const;

 private:
  struct Shared;
  explicit HttpWorkers(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  static void work(const std::shared_ptr<Shared>& shared);
  std::shared_ptr<Shared> shared_;
};

// One fetch, waiting: what a thread does.
Result<Bytes> http_fetch(const HttpRequest& request);

}  // namespace espalier::daemon
