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

// Block RAM, 1024 words of 18 bits, of which the address' two lowest bits enable halves. What a port
// reads while it writes: OLD, what was there; otherwise its output stays.
module ecp5_ram18 #(parameter OLD_A = 0, OLD_B = 0, parameter [18431:0] INIT = 0) (
    input reset, clock_A, enable_A, write_A, clock_B, enable_B, write_B,
    input [13:0] address_A, address_B,
    input [17:0] write_data_A, write_data_B,
    output reg [17:0] read_data_A = 0, read_data_B = 0
);
    reg [17:0] words [0:1023];
    integer index;
    initial for (index = 0; index < 1024; index = index + 1) words[index] = INIT[18 * index +: 18];

    always @(posedge clock_A) if (reset) read_data_A <= 0; else if (enable_A) begin
        if (write_A & address_A[0]) words[address_A[13:4]][8:0] <= write_data_A[8:0];
        if (write_A & address_A[1]) words[address_A[13:4]][17:9] <= write_data_A[17:9];
        if (!write_A || OLD_A) read_data_A <= words[address_A[13:4]];
    end
    always @(posedge clock_B) if (reset) read_data_B <= 0; else if (enable_B) begin
        if (write_B & address_B[0]) words[address_B[13:4]][8:0] <= write_data_B[8:0];
        if (write_B & address_B[1]) words[address_B[13:4]][17:9] <= write_data_B[17:9];
        if (!write_B || OLD_B) read_data_B <= words[address_B[13:4]];
    end
endmodule

// Block RAM, 512 words of 36 bits: port A writes, its address' four lowest bits enable parts of 9
// bits; port B reads what was there before. Both ports' data pins carry a word, A's the lower half.
module ecp5_ram36 #(parameter OLD_A = 0, OLD_B = 0, parameter [18431:0] INIT = 0) (
    input reset, clock_A, enable_A, write_A, clock_B, enable_B, write_B,
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
    assign {read_data_B, read_data_A} = word;
endmodule

module ecp5_multiplier (
    input [17:0] a, b,
    input signed_a, signed_b,
    output [35:0] product
);
    assign product = {{18{signed_a & a[17]}}, a} * {{18{signed_b & b[17]}}, b};
endmodule
