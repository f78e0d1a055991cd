// The text of a script: its statements as lists of words, and what single words mean.
//
// What is wrong is thrown as Wrong, which parse() (script.h) catches.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "script.h"

namespace fake_nvml {

struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The words of a statement, taken one after the other.
class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {}

  bool empty() const { return next_ == words_.size(); }
  std::string peek() const { return empty() ? std::string() : words_[next_]; }
  std::string take(const char* what) {
    if (empty()) throw Wrong(std::string(what) + " is missing at the end");
    return words_[next_++];
  }
  bool take_if(const char* word) {
    if (peek() != word || empty()) return false;
    ++next_;
    return true;
  }

 private:
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
};

// Each says what it expected: "the time "x" is not a number". `what` names the value.
double number(const std::string& text, const char* what);
std::uint64_t whole(const std::string& text, const char* what);
double seconds(const std::string& text);
std::uint64_t bytes(const std::string& text);

// Lines and ";" end a statement, blanks and "=" a word, "#" starts a comment. No statement is empty.
std::vector<Statement> cut(const std::string& text);

}  // namespace fake_nvml
