// Runs the accelerator's bench on images; started by sim/accelerator_run.py, which says what the
// files hold.
//
//   count words drain limit windows images answers trace waves (base words)*
//
// count: of images; words: of all of them; drain: cycles after the reset; limit: cycles after which
// it gives up; windows: cycles of the trace, from-to,from-to,… in rising order, which goes into that
// file in place of the maps; waves: a file for the signals of these cycles, or "-"; base, words:
// where each layer's map lies. A word is offered in every cycle, an answer taken at once.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "Vbench.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using WaveFile = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using WaveFile = VerilatedVcdC;
#endif

namespace {

constexpr std::size_t WORD_BYTES = BENCH_WORD_BYTES;
constexpr std::uint64_t PERIOD = 10;  // of the clock in waves, ns; cycle c begins at c * PERIOD

struct Place {
    std::size_t base, words;
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "error: %s\n", what);
    std::exit(1);
}

std::FILE* opened(const char* name, const char* mode) {
    std::FILE* file = std::fopen(name, mode);
    if (!file) fail(name);
    return file;
}

void put(const void* bytes, std::size_t count, std::FILE* file) {
    if (std::fwrite(bytes, 1, count, file) != count) fail("a result could not be written");
}

#if VM_TRACE
// The signals of some cycles, where the bench is built to give them.
class Waves {
public:
    Waves(VerilatedContext& context, const char* name)
        : on_(std::strcmp(name, "-") != 0), name_(name) {
        context.traceEverOn(true);
    }

    void open(Vbench& bench) {
        if (!on_) return;
        bench.trace(&file_, 99);
        file_.set_time_unit("1ns");
        file_.set_time_resolution("1ns");
        file_.open(name_);
        if (!file_.isOpen()) fail(name_);
    }

    void dump(std::uint64_t time) {
        if (on_) file_.dump(time);
    }

    void close() {
        if (on_) file_.close();
    }

private:
    bool on_;
    const char* name_;
    WaveFile file_;
};
#else
struct Waves {
    Waves(VerilatedContext&, const char*) {}
    void open(Vbench&) {}
    void dump(std::uint64_t) {}
    void close() {}
};
#endif

// The activation memory as it is written, and the maps that it held when their layers ended.
class Maps {
public:
    Maps(std::vector<Place> places, std::FILE* file)
        : places_(std::move(places)), file_(file), memory_(std::size_t{BENCH_WORDS} * WORD_BYTES) {}

    template <typename Word>
    void write(std::size_t address, const Word& word, const Word& mask) {
        std::uint8_t codes[WORD_BYTES] = {}, bits[WORD_BYTES] = {};
        std::memcpy(codes, &word, sizeof(word));
        std::memcpy(bits, &mask, sizeof(mask));
        std::uint8_t* to = &memory_[address * WORD_BYTES];
        for (std::size_t i = 0; i < WORD_BYTES; ++i)
            to[i] = static_cast<std::uint8_t>((to[i] & ~bits[i]) | (codes[i] & bits[i]));
    }

    void layer_ends() {
        if (places_.empty()) return;
        const Place& place = places_[next_];
        next_ = (next_ + 1) % places_.size();
        put(&memory_[place.base * WORD_BYTES], WORD_BYTES * place.words, file_);
    }

private:
    std::vector<Place> places_;
    std::FILE* file_;
    std::vector<std::uint8_t> memory_;
    std::size_t next_ = 0;
};

// The cycles that are traced; to be asked for cycles in rising order.
class Windows {
public:
    explicit Windows(const char* text) {
        while (*text) {
            char* end;
            const std::int64_t from = std::strtoll(text, &end, 10);
            const std::int64_t to = std::strtoll(end + 1, &end, 10);
            spans_.push_back({from, to});
            text = end + (*end == ',');
        }
    }

    bool holds(std::int64_t cycle) {
        while (next_ < spans_.size() && cycle >= spans_[next_].to) ++next_;
        return next_ < spans_.size() && cycle >= spans_[next_].from;
    }

private:
    struct Span {
        std::int64_t from, to;
    };
    std::vector<Span> spans_;
    std::size_t next_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 10) fail("too few arguments");
    const auto number = [&](int index) { return std::int64_t{std::atoll(argv[index])}; };
    const std::int64_t count = number(1), words = number(2), drain = number(3), limit = number(4);
    Windows windows(argv[5]);
    std::FILE* images = opened(argv[6], "rb");
    std::FILE* answers = opened(argv[7], "wb");
    std::FILE* map_file = opened(argv[8], "wb");
    std::vector<Place> places;
    for (int i = 10; i + 1 < argc; i += 2)
        places.push_back({static_cast<std::size_t>(number(i)),
                          static_cast<std::size_t>(number(i + 1))});
    Maps maps(places, map_file);

    VerilatedContext context;
    Waves waves(context, argv[9]);
    auto bench = std::make_unique<Vbench>(&context);
    waves.open(*bench);
    bench->rst = 1;
    bench->offered = 0;
    bench->eval();
    bench->clk = 1;
    bench->eval();
    bench->clk = 0;
    bench->rst = 0;

    std::vector<std::uint8_t> word(WORD_BYTES);
    const auto next_word = [&] {
        if (std::fread(word.data(), WORD_BYTES, 1, images) != 1) fail("the images end too early");
        std::memcpy(&bench->word, word.data(), sizeof(bench->word));
    };
    std::int64_t sent = 0, answered = 0;
    for (std::int64_t cycle = -drain; cycle < limit && answered < count; ++cycle) {
        if (cycle == 0) {
            next_word();
            bench->offered = 1;
        }
        bench->eval();
        const bool traced = windows.holds(cycle);
        if (traced) {
            put(&bench->traced, sizeof(bench->traced), map_file);
            waves.dump(cycle * PERIOD);
        }
        if (bench->written)
            maps.write(bench->write_address, bench->write_word, bench->write_mask);
        if (bench->layer_ends) maps.layer_ends();
        if (bench->answered) {
            const std::int64_t answer[] = {static_cast<std::int64_t>(bench->answer), cycle + 1};
            put(answer, sizeof(answer), answers);
            std::fflush(answers);  // its size tells how far this is
            ++answered;
        }
        const bool taken = bench->offered && bench->ready;
        bench->clk = 1;
        bench->eval();
        if (traced) waves.dump(cycle * PERIOD + PERIOD / 2);
        bench->clk = 0;
        if (taken && ++sent < words)
            next_word();
        else if (taken)
            bench->offered = 0;
    }
    waves.close();
    bench->final();
    std::fclose(answers);
    std::fclose(map_file);
    return 0;
}
