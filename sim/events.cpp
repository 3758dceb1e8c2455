// Event simulation of one stream of cycles with inertial gate delays in whole picoseconds. The
// model is described in events.py. Between cycles nothing is pending, so time only has to rise.

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t NOT_DUE = -1;
constexpr int INPUTS = 6;

// A gate's input pin, as the fan-out of the net that it reads.
struct Pin {
    uint32_t gate;
    uint32_t place;           // bit of the gate's row
    uint32_t delay[2][2];     // ps; input falling and rising, output falling and rising
    uint32_t caused[2];       // falls and rises of the output, counted
};

struct Gate {
    uint64_t table;           // output by row
    int64_t due;              // when the output changes; NOT_DUE if it stays
    uint32_t net;
    uint32_t via;             // the pin that changed last
    uint32_t cause;           // the pin that made the output due
    uint8_t row;              // input bits
    uint8_t target;           // output, once nothing is pending
    uint8_t touched;
};

struct Net {
    uint32_t first_pin;       // its pins end where the next net's begin
    uint32_t changes[2];      // falls and rises, counted
    uint8_t value;
};

struct FlipFlop {
    uint64_t table;           // next state
    uint32_t state;           // net
    uint32_t inputs[INPUTS];  // nets; unused ones are net 0, which is constant
};

struct Simulator {
    std::vector<Net> nets;    // one more than there are, for the last one's end of pins
    std::vector<Pin> pins;
    std::vector<Gate> gates;
    std::vector<FlipFlop> flip_flops;
    std::vector<std::vector<uint32_t>> wheel;  // gates due, by time modulo its size
    std::vector<uint32_t> touched, changing;
    int64_t now = 0;
    int64_t pending = 0;
    uint32_t counting = 0;
    bool started = false;

    void change(uint32_t index) {
        Net& net = nets[index];
        net.value ^= 1;
        net.changes[net.value] += counting;
        for (uint32_t p = net.first_pin; p < nets[index + 1].first_pin; ++p) {
            Gate& gate = gates[pins[p].gate];
            gate.row ^= 1u << pins[p].place;
            gate.via = p;
            if (!gate.touched) {
                gate.touched = 1;
                touched.push_back(pins[p].gate);
            }
        }
    }

    // Decides what the gates whose inputs changed at this instant will do.
    void evaluate() {
        for (uint32_t index : touched) {
            Gate& gate = gates[index];
            gate.touched = 0;
            uint8_t value = gate.table >> gate.row & 1;
            if (value == gate.target) continue;
            gate.target = value;
            if (gate.due != NOT_DUE) {  // it goes back before it got there
                gate.due = NOT_DUE;
                --pending;
                continue;
            }
            const Pin& pin = pins[gate.via];
            gate.cause = gate.via;
            gate.due = now + pin.delay[gate.row >> pin.place & 1][value];
            wheel[gate.due & (wheel.size() - 1)].push_back(index);
            ++pending;
        }
        touched.clear();
    }

    void settle() {
        evaluate();
        while (pending) {
            auto& bucket = wheel[++now & (wheel.size() - 1)];
            if (bucket.empty()) continue;
            for (uint32_t index : bucket) {
                Gate& gate = gates[index];
                if (gate.due != now) continue;  // cancelled since
                gate.due = NOT_DUE;
                --pending;
                pins[gate.cause].caused[gate.target] += counting;
                change(gate.net);
            }
            bucket.clear();
            evaluate();
        }
    }

    void clock() {
        changing.clear();
        for (const FlipFlop& some : flip_flops) {
            unsigned row = 0;
            for (int i = 0; i < INPUTS; ++i) row |= unsigned(nets[some.inputs[i]].value) << i;
            if ((some.table >> row & 1) != nets[some.state].value) changing.push_back(some.state);
        }
        for (uint32_t net : changing) change(net);
    }
};

}  // namespace

extern "C" {

// gate_tables, gate_nets: in an order in which a gate follows those that it reads. pin_*: sorted by
// the net that is read; first_pins has one entry more than there are nets. flip_flop_inputs:
// INPUTS each; states: of the flip-flops in the first cycle. Net 1 is constant 1, ports start from 0.
Simulator* events_create(uint32_t nets, const uint32_t* first_pins, const uint32_t* pin_gates,
                         const uint32_t* pin_places, const uint32_t* pin_delays, uint32_t gates,
                         const uint64_t* gate_tables, const uint32_t* gate_nets,
                         uint32_t flip_flops, const uint64_t* flip_flop_tables,
                         const uint32_t* flip_flop_states, const uint32_t* flip_flop_inputs,
                         const uint8_t* states) {
    auto* made = new Simulator;
    made->nets.resize(nets + 1, Net{});
    for (uint32_t n = 0; n <= nets; ++n) made->nets[n].first_pin = first_pins[n];
    uint32_t longest = 1;
    made->pins.resize(first_pins[nets]);
    for (uint32_t p = 0; p < first_pins[nets]; ++p) {
        Pin& pin = made->pins[p];
        pin = Pin{pin_gates[p], pin_places[p], {}, {}};
        std::memcpy(pin.delay, pin_delays + 4 * p, sizeof pin.delay);
        for (int i = 0; i < 4; ++i) {
            if (pin_delays[4 * p + i] > longest) longest = pin_delays[4 * p + i];
        }
    }
    made->gates.resize(gates);
    for (uint32_t g = 0; g < gates; ++g) {
        made->gates[g] = Gate{gate_tables[g], NOT_DUE, gate_nets[g], 0, 0, 0, 0, 0};
    }
    made->flip_flops.resize(flip_flops);
    for (uint32_t f = 0; f < flip_flops; ++f) {
        FlipFlop& some = made->flip_flops[f];
        some.table = flip_flop_tables[f];
        some.state = flip_flop_states[f];
        std::memcpy(some.inputs, flip_flop_inputs + INPUTS * f, sizeof some.inputs);
    }
    size_t size = 1;
    while (size <= longest) size *= 2;
    made->wheel.resize(size);
    made->change(1);
    for (Gate& gate : made->gates) {
        gate.target = gate.table >> gate.row & 1;
        if (gate.target) made->change(gate.net);
    }
    made->settle();  // of what was evaluated before an input of it changed
    for (uint32_t f = 0; f < flip_flops; ++f) {
        if (states[f]) made->change(flip_flop_states[f]);
    }
    return made;
}

// Runs cycles of inputs, (cycles, sources) bits, and gives the values that the watched nets settle
// at, (cycles, watched). In each cycle the flip-flops and the sources change together; in the first
// the flip-flops hold what they start from.
void events_run(Simulator* simulator, uint32_t cycles, uint32_t counting, uint32_t sources,
                const uint32_t* source_nets, const uint8_t* inputs, uint32_t watched,
                const uint32_t* watched_nets, uint8_t* outputs) {
    simulator->counting = counting;
    for (uint32_t cycle = 0; cycle < cycles; ++cycle) {
        if (simulator->started) simulator->clock();
        simulator->started = true;
        for (uint32_t s = 0; s < sources; ++s, ++inputs) {
            if (*inputs != simulator->nets[source_nets[s]].value) {
                simulator->change(source_nets[s]);
            }
        }
        simulator->settle();
        for (uint32_t w = 0; w < watched; ++w) {
            *outputs++ = simulator->nets[watched_nets[w]].value;
        }
    }
}

// changes: (nets, 2), falls and rises. caused: (pins, 2), of the outputs.
void events_read(const Simulator* simulator, uint32_t* changes, uint32_t* caused) {
    for (size_t n = 0; n + 1 < simulator->nets.size(); ++n) {
        std::memcpy(changes + 2 * n, simulator->nets[n].changes, 8);
    }
    for (size_t p = 0; p < simulator->pins.size(); ++p) {
        std::memcpy(caused + 2 * p, simulator->pins[p].caused, 8);
    }
}

void events_destroy(Simulator* simulator) { delete simulator; }
}
