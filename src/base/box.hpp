// A value on the heap that may be absent: std::optional for what is large and rarely there. Copies
// deeply and compares by value, so that a struct which has one stays a value.
#pragma once

#include <memory>
#include <utility>

namespace espalier {

template <class T>
class Box {
 public:
  Box() = default;
  Box(T value) : held_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : held_(other.held_ ? std::make_unique<T>(*other.held_) : nullptr) {}
  Box(Box&& other) noexcept = default;
  Box& operator=(const Box& other) {
    if (this != &other) held_ = other.held_ ? std::make_unique<T>(*other.held_) : nullptr;
    return *this;
  }
  Box& operator=(Box&& other) noexcept = default;
  Box& operator=(T value) {
    held_ = std::make_unique<T>(std::move(value));
    return *this;
  }
  ~Box() = default;

  explicit operator bool() const { return held_ != nullptr; }
  bool has_value() const { return held_ != nullptr; }
  T& operator*() { return *held_; }
  const T& operator*() const { return *held_; }
  T* operator->() { return held_.get(); }
  const T* operator->() const { return held_.get(); }
  void reset() { held_.reset(); }
  // Makes a default one when there is none.
  T& made() {
    if (!held_) held_ = std::make_unique<T>();
    return *held_;
  }

  friend bool operator==(const Box& a, const Box& b) {
    if (!a.held_ || !b.held_) return a.held_ == b.held_;
    return *a.held_ == *b.held_;
  }

 private:
  std::unique_ptr<T> held_;
};

}  // namespace espalier
