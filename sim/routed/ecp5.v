// Behavior of blocks of ECP5; sim/routed/ecp5.py says from which documents, and what is refused.

// A bit of distributed RAM.
module ecp5_bit_ram #(parameter [15:0] INIT = 0) (
    input clock, write, write_data,
    input [3:0] address, read_address,
    output read_data
);
    reg [15:0] bits = INIT;
    always @(posedge clock) if (write) bits[address] <= write_data;
    assign read_data = bits[read_address];
endmodule

// What a port of block RAM gives: the word, or LATE, a cycle later.
module ecp5_ram_output #(parameter LATE = 0) (
    input reset, clock, enable,
    input [17:0] word,
    output [17:0] given
);
    reg [17:0] register = 0;
    always @(posedge clock) if (reset) register <= 0; else if (enable) register <= word;
    assign given = LATE ? register : word;
endmodule

// Block RAM, 1024 words of 18 bits, of which the address' two lowest bits enable halves; through a
// NARROW port 2048 of 9 bits. What a port reads while it writes: OLD, what was there; otherwise its
// output stays.
module ecp5_ram18 #(
    parameter OLD_A = 0, OLD_B = 0, NARROW_A = 0, NARROW_B = 0, LATE_A = 0, LATE_B = 0,
    parameter [18431:0] INIT = 0
) (
    input reset, clock_A, enable_A, output_enable_A, write_A,
    input clock_B, enable_B, output_enable_B, write_B,
    input [13:0] address_A, address_B,
    input [17:0] write_data_A, write_data_B,
    output [17:0] read_data_A, read_data_B
);
    reg [17:0] words [0:1023];
    reg [17:0] word_A = 0, word_B = 0;
    wire [1:0] halves_A = NARROW_A ? {address_A[3], !address_A[3]} : address_A[1:0];
    wire [1:0] halves_B = NARROW_B ? {address_B[3], !address_B[3]} : address_B[1:0];
    wire [8:0] high_A = NARROW_A ? write_data_A[8:0] : write_data_A[17:9];
    wire [8:0] high_B = NARROW_B ? write_data_B[8:0] : write_data_B[17:9];
    wire [4:0] from_A = NARROW_A & address_A[3] ? 9 : 0, from_B = NARROW_B & address_B[3] ? 9 : 0;
    integer index;
    initial for (index = 0; index < 1024; index = index + 1) words[index] = INIT[18 * index +: 18];

    always @(posedge clock_A) if (reset) word_A <= 0; else if (enable_A) begin
        if (write_A & halves_A[0]) words[address_A[13:4]][8:0] <= write_data_A[8:0];
        if (write_A & halves_A[1]) words[address_A[13:4]][17:9] <= high_A;
        if (!write_A || OLD_A) word_A <= words[address_A[13:4]] >> from_A;
    end
    always @(posedge clock_B) if (reset) word_B <= 0; else if (enable_B) begin
        if (write_B & halves_B[0]) words[address_B[13:4]][8:0] <= write_data_B[8:0];
        if (write_B & halves_B[1]) words[address_B[13:4]][17:9] <= high_B;
        if (!write_B || OLD_B) word_B <= words[address_B[13:4]] >> from_B;
    end
    ecp5_ram_output #(LATE_A) output_A(reset, clock_A, output_enable_A, word_A, read_data_A);
    ecp5_ram_output #(LATE_B) output_B(reset, clock_B, output_enable_B, word_B, read_data_B);
endmodule

// Block RAM, 512 words of 36 bits: port A writes, its address' four lowest bits enable parts of 9
// bits; port B reads what was there before. Both ports' data pins carry a word, A's the lower half.
module ecp5_ram36 #(
    parameter OLD_A = 0, OLD_B = 0, LATE_A = 0, LATE_B = 0,
    parameter [18431:0] INIT = 0
) (
    input reset, clock_A, enable_A, output_enable_A, write_A,
    input clock_B, enable_B, output_enable_B, write_B,
    input [13:0] address_A, address_B,
    input [17:0] write_data_A, write_data_B,
    output [17:0] read_data_A, read_data_B
);
    reg [35:0] words [0:511];
    reg [35:0] word = 0;
    wire [35:0] data = {write_data_B, write_data_A};
    wire [35:0] bits = {{9{address_A[3]}}, {9{address_A[2]}}, {9{address_A[1]}}, {9{address_A[0]}}};
    integer index;
    initial for (index = 0; index < 512; index = index + 1) words[index] = INIT[36 * index +: 36];

    always @(posedge clock_A) if (enable_A & write_A)
        words[address_A[13:5]] <= words[address_A[13:5]] & ~bits | data & bits;
    always @(posedge clock_B) if (reset) word <= 0; else if (enable_B) word <= words[address_B[13:5]];
    ecp5_ram_output #(LATE_A) low(reset, clock_B, output_enable_B, word[17:0], read_data_A);
    ecp5_ram_output #(LATE_B) high(reset, clock_B, output_enable_B, word[35:18], read_data_B);
endmodule

module ecp5_multiplier (
    input [17:0] a, b,
    input signed_a, signed_b,
    output [35:0] product
);
    assign product = {{18{signed_a & a[17]}}, a} * {{18{signed_b & b[17]}}, b};
endmodule
