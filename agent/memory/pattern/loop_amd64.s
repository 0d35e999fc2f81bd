#include "textflag.h"

// The loops take 256 bytes (4 lines) a turn in Y0-Y7. What a line must hold is
// table ^ key; the differences of a turn are ORed, so that it costs one branch,
// taken before anything is written. Where whole lines are written without having
// been read before, stores go around the cache (NT).

// GOT loads a chunk.
#define GOT(at) \
	VMOVDQU 0(at), Y0;   \
	VMOVDQU 32(at), Y1;  \
	VMOVDQU 64(at), Y2;  \
	VMOVDQU 96(at), Y3;  \
	VMOVDQU 128(at), Y4; \
	VMOVDQU 160(at), Y5; \
	VMOVDQU 192(at), Y6; \
	VMOVDQU 224(at), Y7

// DIFFER leaves in Y8 what differs between Y0-Y7 and table ^ (low, high).
#define DIFFER(table, low, high) \
	VPXOR 0(table), low, Y8;    \
	VPXOR 32(table), high, Y9;  \
	VPXOR Y0, Y8, Y8;           \
	VPXOR Y1, Y9, Y9;           \
	VPOR  Y9, Y8, Y8;           \
	VPXOR 64(table), low, Y9;   \
	VPXOR 96(table), high, Y10; \
	VPXOR Y2, Y9, Y9;           \
	VPXOR Y3, Y10, Y10;         \
	VPOR  Y9, Y8, Y8;           \
	VPOR  Y10, Y8, Y8;          \
	VPXOR 128(table), low, Y9;  \
	VPXOR 160(table), high, Y10;\
	VPXOR Y4, Y9, Y9;           \
	VPXOR Y5, Y10, Y10;         \
	VPOR  Y9, Y8, Y8;           \
	VPOR  Y10, Y8, Y8;          \
	VPXOR 192(table), low, Y9;  \
	VPXOR 224(table), high, Y10;\
	VPXOR Y6, Y9, Y9;           \
	VPXOR Y7, Y10, Y10;         \
	VPOR  Y9, Y8, Y8;           \
	VPOR  Y10, Y8, Y8

// GOTDOWN loads a chunk from its end: where chunks come downwards, so do the lines
// in them, or nothing is fetched ahead.
#define GOTDOWN(at) \
	VMOVDQU 224(at), Y7; \
	VMOVDQU 192(at), Y6; \
	VMOVDQU 160(at), Y5; \
	VMOVDQU 128(at), Y4; \
	VMOVDQU 96(at), Y3;  \
	VMOVDQU 64(at), Y2;  \
	VMOVDQU 32(at), Y1;  \
	VMOVDQU 0(at), Y0

// KEEP stores the chunk that was read.
#define KEEP(at) \
	VMOVDQU Y0, 0(at);   \
	VMOVDQU Y1, 32(at);  \
	VMOVDQU Y2, 64(at);  \
	VMOVDQU Y3, 96(at);  \
	VMOVDQU Y4, 128(at); \
	VMOVDQU Y5, 160(at); \
	VMOVDQU Y6, 192(at); \
	VMOVDQU Y7, 224(at)

// WRITE stores table ^ (low, high) around the cache.
#define WRITE(at, table, low, high) \
	VPXOR    0(table), low, Y8;    \
	VPXOR    32(table), high, Y9;  \
	VMOVNTDQ Y8, 0(at);            \
	VMOVNTDQ Y9, 32(at);           \
	VPXOR    64(table), low, Y8;   \
	VPXOR    96(table), high, Y9;  \
	VMOVNTDQ Y8, 64(at);           \
	VMOVNTDQ Y9, 96(at);           \
	VPXOR    128(table), low, Y8;  \
	VPXOR    160(table), high, Y9; \
	VMOVNTDQ Y8, 128(at);          \
	VMOVNTDQ Y9, 160(at);          \
	VPXOR    192(table), low, Y8;  \
	VPXOR    224(table), high, Y9; \
	VMOVNTDQ Y8, 192(at);          \
	VMOVNTDQ Y9, 224(at)

// STORE stores table ^ (low, high).
#define STORE(at, table, low, high) \
	VPXOR    0(table), low, Y8;    \
	VPXOR    32(table), high, Y9;  \
	VMOVDQU  Y8, 0(at);            \
	VMOVDQU  Y9, 32(at);           \
	VPXOR    64(table), low, Y8;   \
	VPXOR    96(table), high, Y9;  \
	VMOVDQU  Y8, 64(at);           \
	VMOVDQU  Y9, 96(at);           \
	VPXOR    128(table), low, Y8;  \
	VPXOR    160(table), high, Y9; \
	VMOVDQU  Y8, 128(at);          \
	VMOVDQU  Y9, 160(at);          \
	VPXOR    192(table), low, Y8;  \
	VPXOR    224(table), high, Y9; \
	VMOVDQU  Y8, 192(at);          \
	VMOVDQU  Y9, 224(at)

// TURN sets up both directions: DI memory, SI what it holds, R8 what it gets.
#define TURN \
	MOVQ    mem_base+0(FP), DI;  \
	MOVQ    mem_len+8(FP), CX;   \
	MOVQ    table_base+24(FP), SI; \
	MOVQ    k+48(FP), DX;        \
	MOVQ    next_base+56(FP), R8; \
	MOVQ    nextKey+80(FP), R9;  \
	MOVQ    got+88(FP), BX;      \
	VMOVDQU 0(DX), Y11;          \
	VMOVDQU 32(DX), Y12;         \
	VMOVDQU 0(R9), Y13;          \
	VMOVDQU 32(R9), Y14;         \
	MOVQ    CX, AX

// SUM writes a + 3·b, 8 numbers of it.
#define SUM(at) \
	VMULPD   at(R9), Y15, Y0;    \
	VMULPD   at+32(R9), Y15, Y1; \
	VADDPD   at(R8), Y0, Y0;     \
	VADDPD   at+32(R8), Y1, Y1;  \
	VMOVNTPD Y0, at(DI);         \
	VMOVNTPD Y1, at+32(DI)

// func fillAVX2(mem, table []uint64, k *key)
TEXT ·fillAVX2(SB), NOSPLIT, $0-56
	MOVQ    mem_base+0(FP), DI
	MOVQ    mem_len+8(FP), CX
	MOVQ    table_base+24(FP), SI
	MOVQ    k+48(FP), DX
	VMOVDQU 0(DX), Y11
	VMOVDQU 32(DX), Y12
	SHRQ    $5, CX
	JZ      filled

fill:
	WRITE(DI, SI, Y11, Y12)
	ADDQ $256, DI
	ADDQ $256, SI
	DECQ CX
	JNZ  fill

filled:
	VZEROUPPER
	RET

// func checkAVX2(mem, table []uint64, k *key, got *chunk) (right int)
TEXT ·checkAVX2(SB), NOSPLIT, $0-72
	MOVQ    mem_base+0(FP), DI
	MOVQ    mem_len+8(FP), CX
	MOVQ    table_base+24(FP), SI
	MOVQ    k+48(FP), DX
	MOVQ    got+56(FP), BX
	VMOVDQU 0(DX), Y11
	VMOVDQU 32(DX), Y12
	MOVQ    CX, AX
	SHRQ    $5, CX
	JZ      checked

check:
	GOT(DI)
	DIFFER(SI, Y11, Y12)
	VPTEST Y8, Y8
	JNZ    wrong
	ADDQ   $256, DI
	ADDQ   $256, SI
	DECQ   CX
	JNZ    check

checked:
	MOVQ AX, right+64(FP)
	VZEROUPPER
	RET

wrong:
	KEEP(BX)
	SHLQ $5, CX
	SUBQ CX, AX
	JMP  checked

// func turnAVX2(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int)
TEXT ·turnAVX2(SB), NOSPLIT, $0-104
	TURN
	SHRQ $5, CX
	JZ   turned

turn:
	GOT(DI)
	DIFFER(SI, Y11, Y12)
	VPTEST Y8, Y8
	JNZ    wrong
	STORE(DI, R8, Y13, Y14)
	ADDQ   $256, DI
	ADDQ   $256, SI
	ADDQ   $256, R8
	DECQ   CX
	JNZ    turn

turned:
	MOVQ AX, right+96(FP)
	VZEROUPPER
	RET

wrong:
	KEEP(BX)
	SHLQ $5, CX
	SUBQ CX, AX
	JMP  turned

// func turnDownAVX2(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int)
TEXT ·turnDownAVX2(SB), NOSPLIT, $0-104
	TURN
	LEAQ (DI)(CX*8), DI
	LEAQ (SI)(CX*8), SI
	LEAQ (R8)(CX*8), R8
	SHRQ $5, CX
	JZ   turned

turn:
	SUBQ   $256, DI
	SUBQ   $256, SI
	SUBQ   $256, R8
	GOTDOWN(DI)
	DIFFER(SI, Y11, Y12)
	VPTEST Y8, Y8
	JNZ    wrong
	STORE(DI, R8, Y13, Y14)
	DECQ   CX
	JNZ    turn

turned:
	MOVQ AX, right+96(FP)
	VZEROUPPER
	RET

wrong:
	KEEP(BX)
	SHLQ $5, CX
	SUBQ CX, AX
	JMP  turned

// func moveAVX2(dst, mem, table []uint64, k *key, got *chunk) (right int)
TEXT ·moveAVX2(SB), NOSPLIT, $0-96
	MOVQ    dst_base+0(FP), R8
	MOVQ    mem_base+24(FP), DI
	MOVQ    mem_len+32(FP), CX
	MOVQ    table_base+48(FP), SI
	MOVQ    k+72(FP), DX
	MOVQ    got+80(FP), BX
	VMOVDQU 0(DX), Y11
	VMOVDQU 32(DX), Y12
	MOVQ    CX, AX
	SHRQ    $5, CX
	JZ      moved

move:
	GOT(DI)
	DIFFER(SI, Y11, Y12)
	VPTEST   Y8, Y8
	JNZ      wrong
	VMOVNTDQ Y0, 0(R8)
	VMOVNTDQ Y1, 32(R8)
	VMOVNTDQ Y2, 64(R8)
	VMOVNTDQ Y3, 96(R8)
	VMOVNTDQ Y4, 128(R8)
	VMOVNTDQ Y5, 160(R8)
	VMOVNTDQ Y6, 192(R8)
	VMOVNTDQ Y7, 224(R8)
	ADDQ     $256, R8
	ADDQ     $256, DI
	ADDQ     $256, SI
	DECQ     CX
	JNZ      move

moved:
	MOVQ AX, right+88(FP)
	VZEROUPPER
	RET

wrong:
	KEEP(BX)
	SHLQ $5, CX
	SUBQ CX, AX
	JMP  moved

// func copyAVX2(dst, src []uint64)
TEXT ·copyAVX2(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), R8
	MOVQ dst_len+8(FP), CX
	MOVQ src_base+24(FP), DI
	SHRQ $5, CX
	JZ   copied

copy:
	GOT(DI)
	VMOVNTDQ Y0, 0(R8)
	VMOVNTDQ Y1, 32(R8)
	VMOVNTDQ Y2, 64(R8)
	VMOVNTDQ Y3, 96(R8)
	VMOVNTDQ Y4, 128(R8)
	VMOVNTDQ Y5, 160(R8)
	VMOVNTDQ Y6, 192(R8)
	VMOVNTDQ Y7, 224(R8)
	ADDQ     $256, R8
	ADDQ     $256, DI
	DECQ     CX
	JNZ      copy

copied:
	VZEROUPPER
	RET

DATA three<>+0(SB)/8, $3.0
GLOBL three<>(SB), RODATA|NOPTR, $8

// func triadAVX2(dst, a, b []float64)
TEXT ·triadAVX2(SB), NOSPLIT, $0-72
	MOVQ         dst_base+0(FP), DI
	MOVQ         dst_len+8(FP), CX
	MOVQ         a_base+24(FP), R8
	MOVQ         b_base+48(FP), R9
	VBROADCASTSD three<>(SB), Y15
	SHRQ         $5, CX
	JZ           summed

sum:
	SUM(0)
	SUM(64)
	SUM(128)
	SUM(192)
	ADDQ $256, DI
	ADDQ $256, R8
	ADDQ $256, R9
	DECQ CX
	JNZ  sum

summed:
	VZEROUPPER
	RET

// func flushOpt(mem []uint64)
TEXT ·flushOpt(SB), NOSPLIT, $0-24
	MOVQ mem_base+0(FP), DI
	MOVQ mem_len+8(FP), CX
	SHRQ $3, CX
	JZ   done

line:
	CLFLUSHOPT (DI)
	ADDQ       $64, DI
	DECQ       CX
	JNZ        line

done:
	MFENCE
	RET

// func flushPlain(mem []uint64)
TEXT ·flushPlain(SB), NOSPLIT, $0-24
	MOVQ mem_base+0(FP), DI
	MOVQ mem_len+8(FP), CX
	SHRQ $3, CX
	JZ   done

line:
	CLFLUSH (DI)
	ADDQ    $64, DI
	DECQ    CX
	JNZ     line

done:
	MFENCE
	RET

// func fence()
TEXT ·fence(SB), NOSPLIT, $0-0
	MFENCE
	RET

// func hasFlushOpt() bool
TEXT ·hasFlushOpt(SB), NOSPLIT, $0-1
	XORL  AX, AX
	CPUID
	MOVB  $0, ret+0(FP)
	CMPL  AX, $7
	JLT   none
	MOVL  $7, AX
	XORL  CX, CX
	CPUID
	SHRL  $23, BX
	ANDL  $1, BX
	MOVB  BX, ret+0(FP)

none:
	RET
