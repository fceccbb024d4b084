#include "wire/http/response.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "wire/http/limits.hpp"

namespace espalier::wire::http {
namespace {

Error malformed(std::string_view why) {
  return make_error(ErrorCode::kMalformed, "the answer is no HTTP/1.1: " + std::string(why));
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_word(std::string_view text, std::string_view word) {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Bytes encode_request(const Url& url, ByteView body, std::string_view content_type) {
  std::string head = (body.empty() ? "GET " : "POST ") + url.target +
                     " HTTP/1.1\r\nHost: " + url.authority() +
                     "\r\nUser-Agent: espalier\r\nAccept: */*\r\nConnection: close\r\n";
  if (!body.empty()) {
    head += "Content-Type: " + std::string(content_type) +
            "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  head += "\r\n";
  Bytes out = to_vector(as_bytes(head));
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

Status ResponseReader::append(ByteView octets) {
  if (octets.size() > max_body_ - body_.size()) {
    return make_error(ErrorCode::kLimit,
                      "the answer is longer than " + std::to_string(max_body_) + " octets");
  }
  body_.insert(body_.end(), octets.begin(), octets.end());
  return {};
}

Result<std::optional<std::string>> ResponseReader::take_line(ByteView& octets, std::size_t limit) {
  const auto end = std::find(octets.begin(), octets.end(), std::uint8_t{'\n'});
  const auto count = static_cast<std::size_t>(end - octets.begin());
  if (pending_.size() + count > limit) {
    return make_error(ErrorCode::kLimit, "a line of the answer is too long");
  }
  pending_.append(reinterpret_cast<const char*>(octets.data()), count);
  if (end == octets.end()) {
    octets = {};
    return std::optional<std::string>();
  }
  octets = octets.subspan(count + 1);
  std::string line = std::move(pending_);
  pending_.clear();
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return std::optional<std::string>(std::move(line));
}

Status ResponseReader::read_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return malformed("a field has no name");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (is_word(name, "content-length")) {
    const auto length = number(value, 10);
    // RFC 9112 section 6.3: two lengths that differ are a way to smuggle.
    if (!length || (length_ && *length_ != *length)) return malformed("its Content-Length");
    length_ = length;
  } else if (is_word(name, "transfer-encoding")) {
    if (chunked_ || !is_word(value, "chunked")) {
      return make_error(ErrorCode::kUnsupported,
                        "the answer has a transfer coding that is not supported");
    }
    chunked_ = true;
  } else if (is_word(name, "content-encoding") && !is_word(value, "identity")) {
    return make_error(ErrorCode::kUnsupported, "the answer is compressed, and nobody asked for it");
  } else if (is_word(name, "location")) {
    location_ = std::string(value);
  }
  return {};
}

Status ResponseReader::read_head(std::string_view head) {
  std::size_t end = head.find('\n');
  std::string_view line = head.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  const bool known = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  const auto code = known && line.size() >= 12 ? number(line.substr(9, 3), 10) : std::nullopt;
  if (!code || *code < 100 || (line.size() > 12 && line[12] != ' ')) {
    return malformed("its first line");
  }
  status_ = static_cast<unsigned>(*code);
  while (end != std::string_view::npos) {
    const std::size_t next = head.find('\n', end + 1);
    line = head.substr(end + 1, next == std::string_view::npos ? next : next - end - 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty()) TRY(read_field(line));
    end = next;
  }
  return {};
}

// RFC 9112 section 6.3.
Status ResponseReader::begin_body() {
  if (status_ < 200) {  // an interim one: the real one follows
    length_.reset();
    chunked_ = false;
    location_.clear();
    state_ = State::kHead;
    return {};
  }
  if (status_ == 204 || status_ == 304) {
    state_ = State::kDone;
  } else if (chunked_) {
    state_ = State::kChunkSize;
  } else if (length_) {
    if (*length_ > max_body_) {
      return make_error(ErrorCode::kLimit, "the answer has " + std::to_string(*length_) +
                                               " octets, more than " + std::to_string(max_body_));
    }
    left_ = *length_;
    state_ = left_ == 0 ? State::kDone : State::kLength;
  } else {
    state_ = State::kUntilClose;
  }
  return {};
}

Status ResponseReader::take_chunk_size(std::string_view line) {
  const auto size = number(trimmed(line.substr(0, line.find(';'))), 16);
  if (!size) return malformed("the size of a chunk");
  left_ = *size;
  state_ = left_ == 0 ? State::kTrailer : State::kChunk;
  return {};
}

Status ResponseReader::take(ByteView octets) {
  while (!octets.empty() && state_ != State::kDone) {
    if (state_ == State::kUntilClose) return append(octets);
    if (state_ == State::kLength || state_ == State::kChunk) {
      const auto part =
          octets.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, octets.size())));
      TRY(append(part));
      octets = octets.subspan(part.size());
      left_ -= part.size();
      if (left_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
      continue;
    }
    if (state_ == State::kHead) {
      // Line by line into the head, until an empty one.
      const auto end = std::find(octets.begin(), octets.end(), std::uint8_t{'\n'});
      const auto count =
          static_cast<std::size_t>(end - octets.begin()) + (end == octets.end() ? 0u : 1u);
      if (pending_.size() + count > kMaxHeadOctets) {
        return make_error(ErrorCode::kLimit, "the head of the answer is too long");
      }
      pending_.append(reinterpret_cast<const char*>(octets.data()), count);
      octets = octets.subspan(count);
      if (!pending_.ends_with("\n\n") && !pending_.ends_with("\n\r\n")) continue;
      TRY(read_head(std::exchange(pending_, std::string())));
      TRY(begin_body());
      continue;
    }
    TRY_ASSIGN(const std::optional<std::string> line, take_line(octets, kMaxChunkLine));
    if (!line) return {};
    if (state_ == State::kChunkSize) {
      TRY(take_chunk_size(*line));
    } else if (state_ == State::kChunkEnd) {
      if (!line->empty()) return malformed("a chunk is longer than it says");
      state_ = State::kChunkSize;
    } else if (line->empty()) {
      state_ = State::kDone;
    } else if ((trailer_ += line->size()) > kMaxHeadOctets) {
      return make_error(ErrorCode::kLimit, "the fields after the answer are too long");
    }
  }
  return {};
}

Status ResponseReader::finish() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  if (state_ == State::kDone) return {};
  return make_error(ErrorCode::kTruncated,
                    "the connection ended before the whole answer was there");
}

}  // namespace espalier::wire::http
