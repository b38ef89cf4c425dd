#include <algorithm>
#include <string>
#include <vector>

namespace text {

template <typename T>
class Buffer {
public:
    explicit Buffer(std::size_t size) : data_(size), used_(0) {
        data_.reserve(size);
    }

    bool push(const T &value) {
        if (used_ == data_.size()) {
            return false;
        }
        data_[used_++] = value;
        return true;
    }

    T &operator[](std::size_t index) {
        check(index);
        return data_[index];
    }

private:
    std::vector<T> data_;
    std::size_t used_;
};

std::string join(const std::vector<std::string> &parts, const std::string &sep) {
    std::string result;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) {
            result += sep;
        }
        result += parts[i];
    }
    return result;
}

template <typename It>
auto largest(It first, It last) -> decltype(*first) {
    auto best = std::max_element(first, last);
    return *best;
}

}  // namespace text

int main() {
    text::Buffer<int> buffer(4);
    buffer.push(1);
    return 0;
}
