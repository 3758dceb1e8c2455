// Behavior of blocks of iCE40; sim/routed/ice40.py says from which documents, and what is refused.

// Block RAM: 256 words of 16 bits; in mode m a port has 16 >> m of them, whose place in the word the
// address' bits from 8 on choose. Reads give what was there before a write.
module ice40_ram #(
    parameter [1:0] READ_MODE = 0, WRITE_MODE = 0,
    parameter [4095:0] INIT = 0
) (
    input read_clock, read, write_clock, write,
    input [10:0] read_address, write_address,
    input [15:0] write_data, mask,
    output [15:0] read_data
);
    // Which of the 1 << mode bits of a group carries a port's bit.
    localparam READ_PLACE = READ_MODE == 0 ? 0 : (1 << READ_MODE) / 2 - 1;
    localparam WRITE_PLACE = WRITE_MODE == 0 ? 0 : (1 << WRITE_MODE) / 2 - 1;
    reg [15:0] words [0:255];
    reg [15:0] word = 0;
    reg [2:0] chosen = 0;
    wire [2:0] place = write_address[10:8] & 3'((1 << WRITE_MODE) - 1);
    integer index;

    initial for (index = 0; index < 256; index = index + 1) words[index] = INIT[16 * index +: 16];

    always @(posedge read_clock) if (read) begin
        word <= words[read_address[7:0]];
        chosen <= read_address[10:8] & 3'((1 << READ_MODE) - 1);
    end

    always @(posedge write_clock) if (write)
        for (index = 0; index < 16; index = index + 1)
            if (WRITE_MODE == 0 ? !mask[index] : index % (1 << WRITE_MODE) == 32'(place))
                words[write_address[7:0]][index]
                    <= write_data[(index >> WRITE_MODE << WRITE_MODE) + WRITE_PLACE];

    genvar bit_;
    generate for (bit_ = 0; bit_ < 16; bit_ = bit_ + 1) begin : to
        if (bit_ % (1 << READ_MODE) == READ_PLACE)
            assign read_data[bit_] = word[4'(bit_ - READ_PLACE) + 4'(chosen)];
        else assign read_data[bit_] = 0;
    end endgenerate
endmodule

// Single-port RAM, whose output is not defined after a write: it keeps what it was.
module ice40_spram (
    input clock, select, write,
    input [13:0] address,
    input [15:0] write_data,
    input [3:0] mask,
    output reg [15:0] read_data
);
    reg [15:0] words [0:16383];
    wire [15:0] bits = {{4{mask[3]}}, {4{mask[2]}}, {4{mask[1]}}, {4{mask[0]}}};

    always @(posedge clock) if (select) begin
        if (write) words[address] <= words[address] & ~bits | write_data & bits;
        else read_data <= words[address];
    end
endmodule

// A register of a multiplier, which may be passed by.
module ice40_register #(parameter USED = 0) (
    input clock, enable, reset,
    input [15:0] in,
    output [15:0] out
);
    reg [15:0] kept = 0;
    always @(posedge clock or posedge reset)
        if (reset) kept <= 0;
        else if (enable) kept <= in;
    assign out = USED ? kept : in;
endmodule

// Half of a multiplier's adder, and what follows it.
module ice40_half #(parameter UPPER = 0, parameter [1:0] SELECT = 0) (
    input clock, enable, reset, load, subtract, carry,
    input [15:0] addend, operand, product,
    output carry_out,
    output [15:0] out
);
    reg [15:0] sum = 0;
    wire [15:0] other = UPPER ? operand : sum;
    wire [16:0] added = {1'b0, addend} + {1'b0, other ^ {16{subtract}}} + 17'(carry);
    wire [15:0] next = load ? operand : added[15:0] ^ {16{subtract}};
    always @(posedge clock or posedge reset)
        if (reset) sum <= 0;
        else if (enable) sum <= next;
    assign carry_out = added[16];
    assign out = SELECT == 0 ? next : SELECT == 1 ? sum : product;
endmodule

// 16 x 16 bits, without registers between the multiplier and the adders.
module ice40_multiplier #(
    parameter [1:0] A_SIGNED = 0, B_SIGNED = 0, A_REG = 0, B_REG = 0, C_REG = 0, D_REG = 0,
        TOPADDSUB_UPPERINPUT = 0, BOTADDSUB_UPPERINPUT = 0,
        TOPADDSUB_LOWERINPUT = 0, BOTADDSUB_LOWERINPUT = 0,
        TOPADDSUB_CARRYSELECT = 0, BOTADDSUB_CARRYSELECT = 0,
        TOPOUTPUT_SELECT = 0, BOTOUTPUT_SELECT = 0
) (
    input CLK, CE, AHOLD, BHOLD, CHOLD, DHOLD, IRSTTOP, IRSTBOT, ORSTTOP, ORSTBOT,
    input OLOADTOP, OLOADBOT, ADDSUBTOP, ADDSUBBOT, OHOLDTOP, OHOLDBOT,
    input [15:0] A, B, C, D,
    output [31:0] O,
    output CO, ACCUMCO, SIGNEXTOUT
);
    wire [15:0] a, b, c, d;
    ice40_register #(A_REG) keep_a(CLK, CE & ~AHOLD, IRSTTOP, A, a);
    ice40_register #(B_REG) keep_b(CLK, CE & ~BHOLD, IRSTBOT, B, b);
    ice40_register #(C_REG) keep_c(CLK, CE & ~CHOLD, IRSTTOP, C, c);
    ice40_register #(D_REG) keep_d(CLK, CE & ~DHOLD, IRSTBOT, D, d);

    wire [31:0] wide_a = {{16{A_SIGNED[0] & a[15]}}, a};
    wire [31:0] wide_b = {{16{B_SIGNED[0] & b[15]}}, b};
    wire [31:0] product = wide_a * wide_b;

    wire carry;
    wire [15:0] low = BOTADDSUB_LOWERINPUT == 0 ? b : product[15:0];
    wire [15:0] high = TOPADDSUB_LOWERINPUT == 0 ? a
        : TOPADDSUB_LOWERINPUT == 2 ? product[31:16] : {16{low[15]}};
    wire to_high = TOPADDSUB_CARRYSELECT == 0 ? 1'b0 : TOPADDSUB_CARRYSELECT == 1 ? 1'b1
        : TOPADDSUB_CARRYSELECT == 2 ? carry : carry ^ ADDSUBBOT;
    ice40_half #(BOTADDSUB_UPPERINPUT, BOTOUTPUT_SELECT) bottom(
        CLK, CE & ~OHOLDBOT, ORSTBOT, OLOADBOT, ADDSUBBOT, BOTADDSUB_CARRYSELECT[0],
        low, d, product[15:0], carry, O[15:0]);
    ice40_half #(TOPADDSUB_UPPERINPUT, TOPOUTPUT_SELECT) top(
        CLK, CE & ~OHOLDTOP, ORSTTOP, OLOADTOP, ADDSUBTOP, to_high,
        high, c, product[31:16], ACCUMCO, O[31:16]);
    assign CO = ACCUMCO ^ ADDSUBTOP;
    assign SIGNEXTOUT = high[15];
endmodule
