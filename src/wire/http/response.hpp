// One HTTP/1.1 response, octet by octet as it arrives (RFC 9112), and the request that asks for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/http/url.hpp"

namespace espalier::wire::http {

// GET, or POST with a body of that media type. The connection is closed after the answer.
Bytes encode_request(const Url& url, ByteView body, std::string_view content_type);

class ResponseReader {
 public:
  explicit ResponseReader(std::size_t max_body) : max_body_(max_body) {}

  // Takes what arrived. Errors: kMalformed, kLimit (the body or the head is too long), kUnsupported
  // (a transfer coding that we do not know). After one, or after is_done(), it takes nothing more.
  Status take(ByteView octets);
  // The other end closed the connection. Errors: kTruncated when something was still to come.
  Status finish();
  bool is_done() const { return state_ == State::kDone; }

  unsigned status() const { return status_; }
  const std::string& location() const { return location_; }  // of redirects
  const Bytes& body() const { return body_; }

 private:
  enum class State : std::uint8_t {
    kHead,
    kLength,
    kUntilClose,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kDone
  };
  Status read_head(std::string_view head);
  Status read_field(std::string_view line);
  Status begin_body();
  // A line without its end; nothing: it has not arrived yet.
  Result<std::optional<std::string>> take_line(ByteView& octets, std::size_t limit);
  Status take_chunk_size(std::string_view line);
  Status append(ByteView octets);

  std::size_t max_body_;
  State state_ = State::kHead;
  std::string pending_;  // of a head or line that is not whole
  std::size_t trailer_ = 0;
  unsigned status_ = 0;
  std::optional<std::uint64_t> length_;
  bool chunked_ = false;
  std::uint64_t left_ = 0;  // of the body or the chunk
  std::string location_;
  Bytes body_;
};

}  // namespace espalier::wire::http
