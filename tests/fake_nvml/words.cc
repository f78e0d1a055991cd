#include "words.h"

#include <algorithm>
#include <charconv>

namespace fake_nvml {
namespace {

char unescaped(const std::string& text, std::size_t& place) {
  if (text[place] != '\\' || place + 1 >= text.size()) return text[place];
  const char letter = text[++place];
  if (letter == 'n') return '\n';
  if (letter != 'x' || place + 2 >= text.size()) return letter;
  int value = 0;
  std::from_chars(text.data() + place + 1, text.data() + place + 3, value, 16);
  place += 2;
  return static_cast<char>(value);
}

}  // namespace

double number(const std::string& text, const char* what) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Wrong(std::string(what) + " \"" + text + "\" is not a number");
  }
  return value;
}

std::uint64_t whole(const std::string& text, const char* what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Wrong(std::string(what) + " \"" + text + "\" is not a whole number");
  }
  return value;
}

double seconds(const std::string& text) {
  for (const auto& [unit, factor] : {std::pair{"ms", 0.001}, std::pair{"s", 1.0}, std::pair{"m", 60.0}}) {
    const std::string suffix = unit;
    if (text.size() > suffix.size() && text.ends_with(suffix)) {
      return number(text.substr(0, text.size() - suffix.size()), "the time") * factor;
    }
  }
  return number(text, "the time");
}

// MiB where no unit stands, except for numbers that are no MiB on any machine: those are bytes.
std::uint64_t bytes(const std::string& text) {
  for (const auto& [unit, shift] :
       {std::pair{"GiB", 30}, std::pair{"MiB", 20}, std::pair{"KiB", 10}, std::pair{"B", 0}}) {
    const std::string suffix = unit;
    if (text.ends_with(suffix)) return whole(text.substr(0, text.size() - suffix.size()), "the size") << shift;
  }
  const std::uint64_t value = whole(text, "the size");
  return value >= (1ull << 30) ? value : value << 20;
}

std::vector<Statement> cut(const std::string& text) {
  std::vector<Statement> statements;
  Statement current;
  std::string word;
  int line = 1;
  bool in_word = false;
  const auto end_word = [&] {
    if (in_word) current.words.push_back(word);
    word.clear();
    in_word = false;
  };
  const auto end_statement = [&] {
    end_word();
    current.line = line;
    if (!current.words.empty()) statements.push_back(current);
    current = {};
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '\n' || c == ';') {
      end_statement();
      line += c == '\n' ? 1 : 0;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '=') {
      end_word();
      if (!current.text.empty()) current.text += ' ';
    } else if (c == '"') {
      in_word = true;
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i) word += unescaped(text, i);
      current.text += word;
    } else {
      in_word = true;
      word += c;
      current.text += c;
    }
  }
  end_statement();
  return statements;
}

}  // namespace fake_nvml
