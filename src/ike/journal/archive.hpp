// Values to octets and back, for a journal that only the same version of this program reads: no
// tags, no field names; journal.cpp lists the members of each struct. Save appends; Load is bounded
// by what it was given and, after the first thing that does not fit, fails and gives zeros.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "base/box.hpp"
#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "base/shared_list.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
#include "wire/ike/message.hpp"

namespace espalier::ike::journal {

template <class T>
concept Plain = std::is_enum_v<T> || std::is_integral_v<T>;

class Save {
 public:
  static constexpr bool kLoads = false;

  template <class... T>
  void operator()(const T&... each) {
    (put(each), ...);
  }
  void octets(ByteView bytes) {
    out_.u32(static_cast<std::uint32_t>(bytes.size()));
    out_.bytes(bytes);
  }
  // Secrets are among them: the caller wraps them up.
  Bytes take() { return out_.take(); }

 private:
  template <class T>
  void put(const T& value);
  template <class List>
  void put_list(const List& list) {
    out_.u32(static_cast<std::uint32_t>(list.size()));
    for (const auto& each : list) put(each);
  }
  template <class Holder>
  void put_maybe(const Holder& holder) {
    out_.u8(holder.has_value() ? 1 : 0);
    if (holder.has_value()) put(*holder);
  }

  Writer out_;
};

class Load {
 public:
  static constexpr bool kLoads = true;

  explicit Load(ByteView bytes) : in_(bytes) {}

  template <class... T>
  void operator()(T&... each) {
    (get(each), ...);
  }
  ByteView octets() {
    const std::size_t size = number<std::uint32_t>();
    const auto view = in_.take(size);
    if (!view) failed_ = true;
    return view ? *view : ByteView();
  }
  void fail() { failed_ = true; }
  // Everything fitted, and nothing is left over.
  bool whole() const { return !failed_ && in_.empty(); }

 private:
  template <class T>
  void get(T& value);
  template <class T>
  T number() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      const auto octet = in_.u8();
      if (!octet) failed_ = true;
      value = value << 8 | (octet ? *octet : 0);
    }
    return static_cast<T>(value);
  }
  // An element takes an octet at least.
  std::size_t count() {
    const std::size_t wanted = number<std::uint32_t>();
    if (wanted <= in_.remaining()) return wanted;
    failed_ = true;
    return 0;
  }
  template <class Holder>
  void get_maybe(Holder& holder) {
    holder.reset();
    if (number<std::uint8_t>() == 0) return;
    std::remove_cvref_t<decltype(*holder)> value{};
    get(value);
    holder = std::move(value);
  }

  Reader in_;
  bool failed_ = false;
};

// ---- what each kind of value is
// -----------------------------------------------------------------------------

template <class T>
inline constexpr bool kIsStrong = false;
template <class Tag, class T>
inline constexpr bool kIsStrong<StrongInt<Tag, T>> = true;
template <class T>
inline constexpr bool kIsMaybe = false;
template <class T>
inline constexpr bool kIsMaybe<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsMaybe<Box<T>> = true;
template <class T>
inline constexpr bool kIsList = false;
template <class T>
inline constexpr bool kIsList<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsSet = false;
template <class T>
inline constexpr bool kIsSet<std::set<T>> = true;
template <class T>
inline constexpr bool kIsShared = false;
template <class T>
inline constexpr bool kIsShared<SharedList<T>> = true;
template <class T>
inline constexpr bool kIsArray = false;
template <class T, std::size_t N>
inline constexpr bool kIsArray<std::array<T, N>> = true;

template <class T>
void Save::put(const T& value) {
  if constexpr (Plain<T>) {
    const auto number = static_cast<std::uint64_t>(value);
    for (std::size_t i = sizeof(T); i-- > 0;) out_.u8(static_cast<std::uint8_t>(number >> (8 * i)));
  } else if constexpr (kIsStrong<T>) {
    put(value.value);
  } else if constexpr (std::is_same_v<T, Duration>) {
    put(static_cast<std::int64_t>(value.count()));
  } else if constexpr (std::is_same_v<T, Instant>) {
    put(value.time_since_epoch());
  } else if constexpr (std::is_same_v<T, std::string>) {
    octets(as_bytes(value));
  } else if constexpr (std::is_same_v<T, Bytes>) {
    octets(value);
  } else if constexpr (std::is_same_v<T, SecretBytes>) {
    octets(value.reveal());
  } else if constexpr (std::is_same_v<T, IpAddress>) {
    octets(value.bytes());
  } else if constexpr (kIsMaybe<T>) {
    put_maybe(value);
  } else if constexpr (kIsList<T> || kIsSet<T> || kIsShared<T>) {
    put_list(value);
  } else if constexpr (kIsArray<T>) {
    for (const auto& each : value) put(each);
  } else {
    fields(*this, const_cast<T&>(value));
  }
}

template <class T>
void Load::get(T& value) {
  if constexpr (Plain<T>) {
    value = static_cast<T>(number<std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>>());
  } else if constexpr (kIsStrong<T>) {
    get(value.value);
  } else if constexpr (std::is_same_v<T, Duration>) {
    value = Duration(number<std::int64_t>());
  } else if constexpr (std::is_same_v<T, Instant>) {
    value = Instant(Duration(number<std::int64_t>()));
  } else if constexpr (std::is_same_v<T, std::string>) {
    value = to_text(octets());
  } else if constexpr (std::is_same_v<T, Bytes>) {
    value = to_vector(octets());
  } else if constexpr (std::is_same_v<T, SecretBytes>) {
    value = SecretBytes(octets());
  } else if constexpr (std::is_same_v<T, IpAddress>) {
    const auto address = IpAddress::from_bytes(octets());
    if (!address) fail();
    value = address ? *address : IpAddress();
  } else if constexpr (kIsMaybe<T>) {
    get_maybe(value);
  } else if constexpr (kIsArray<T>) {
    for (auto& each : value) get(each);
  } else if constexpr (kIsList<T> || kIsShared<T>) {
    std::vector<typename T::value_type> list(count());
    for (auto& each : list) get(each);
    value = std::move(list);
  } else if constexpr (kIsSet<T>) {
    value.clear();
    for (std::size_t left = count(); left > 0; --left) {
      typename T::value_type each{};
      get(each);
      value.insert(std::move(each));
    }
  } else {
    fields(*this, value);
  }
}

}  // namespace espalier::ike::journal
