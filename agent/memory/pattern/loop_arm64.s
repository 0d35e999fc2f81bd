#include "textflag.h"

// func flush(mem []uint64)
// DC CIVAC cleans and invalidates a line to the point of coherency; Linux allows
// it to user space. Steps of 64 bytes reach every line of 64 bytes and more.
TEXT ·flush(SB), NOSPLIT, $0-24
	MOVD mem_base+0(FP), R0
	MOVD mem_len+8(FP), R1
	LSL  $3, R1
	ADD  R0, R1

flush:
	CMP  R1, R0
	BHS  flushed
	WORD $0xd50b7e20 // DC CIVAC, R0
	ADD  $64, R0
	B    flush

flushed:
	DSB $15
	RET
