// Asks an accelerator over its serial line, as a host does; started by sim/serial_run.py.
//
//   divisor idle limit questions answers
//
// divisor: clock cycles of a bit; idle: cycles before the first question; limit: cycles after a
// question until it gives up; questions, answers: files of (count of bytes, 32 bits; bytes). An
// answer ends when the line has been idle for two bytes. Prints the cycles that all of it took.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vbench.h"
#include "verilated.h"

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr int BITS = 10;  // of a byte on the line

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "error: %s\n", what);
    std::exit(1);
}

std::FILE* opened(const char* name, const char* mode) {
    std::FILE* file = std::fopen(name, mode);
    if (!file) fail(name);
    return file;
}

class Line {
public:
    Line(VerilatedContext& context, std::uint64_t divisor)
        : bench_(&context), divisor_(divisor) {
        bench_.rx = 1;
    }

    void wait(std::uint64_t count) {
        while (count--) cycle();
    }

    void send(const Bytes& bytes) {
        for (std::uint8_t byte : bytes) {
            unsigned frame = 0x200 | byte << 1;  // start bit 0, stop bit 1
            for (int bit = 0; bit < BITS; ++bit, frame >>= 1) {
                bench_.rx = frame & 1;
                wait(divisor_);
            }
        }
    }

    // The bytes that come, none if the limit is reached.
    Bytes receive(std::uint64_t limit) {
        Bytes bytes;
        for (std::uint64_t idle = 0; idle < (bytes.empty() ? limit : 2 * BITS * divisor_); ++idle) {
            if (!bench_.tx) {
                bytes.push_back(byte());
                idle = 0;
            }
            cycle();
        }
        return bytes;
    }

    std::uint64_t cycles() const { return cycles_; }
    void end() { bench_.final(); }

private:
    void cycle() {
        bench_.clk = 1;
        bench_.eval();
        bench_.clk = 0;
        bench_.eval();
        ++cycles_;
    }

    // The one whose start bit has just begun; until the middle of its stop bit.
    std::uint8_t byte() {
        unsigned value = 0;
        wait(divisor_ / 2);
        for (int bit = 0; bit < 8; ++bit) {
            wait(divisor_);
            value |= bench_.tx << bit;
        }
        wait(divisor_);
        return value;
    }

    Vbench bench_;
    std::uint64_t divisor_, cycles_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) fail("arguments: divisor idle limit questions answers");
    VerilatedContext context;
    Line line(context, std::strtoull(argv[1], nullptr, 10));
    const std::uint64_t limit = std::strtoull(argv[3], nullptr, 10);
    std::FILE* questions = opened(argv[4], "rb");
    std::FILE* answers = opened(argv[5], "wb");
    line.wait(std::strtoull(argv[2], nullptr, 10));
    std::uint32_t count;
    while (std::fread(&count, sizeof count, 1, questions) == 1) {
        Bytes question(count);
        if (std::fread(question.data(), 1, count, questions) != count) fail("questions cut short");
        line.send(question);
        const Bytes answer = line.receive(limit);
        count = answer.size();
        if (std::fwrite(&count, sizeof count, 1, answers) != 1) fail("an answer is not written");
        if (std::fwrite(answer.data(), 1, count, answers) != count) fail("an answer is not written");
        if (answer.empty()) break;
    }
    if (std::fclose(answers)) fail("an answer is not written");
    std::printf("%llu\n", static_cast<unsigned long long>(line.cycles()));
    line.end();
    return 0;
}
