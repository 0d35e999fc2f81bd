#include "textflag.h"

// x*m + a; t = x>>15; x ^ t ^ k; rotate left by 7.
#define MUL2(x, t) \
	VPMULLD Y13, x, x \
	VPADDD  Y14, x, x \
	VPSRLD  $15, x, t \
	VPXOR   t, x, x \
	VPXOR   Y15, x, x \
	VPSRLD  $25, x, t \
	VPSLLD  $7, x, x \
	VPOR    t, x, x

// func multiplyAVX2(s *multiplyState, steps int)
// Two passes of 64 lanes; m, a and k stand behind the lanes.
TEXT ·multiplyAVX2(SB), NOSPLIT, $0-16
	MOVQ         s+0(FP), AX
	VPBROADCASTD 512(AX), Y13
	VPBROADCASTD 516(AX), Y14
	VPBROADCASTD 520(AX), Y15
	MOVQ         $2, DX

pass:
	MOVQ    steps+8(FP), CX
	VMOVDQU 0(AX), Y0
	VMOVDQU 32(AX), Y1
	VMOVDQU 64(AX), Y2
	VMOVDQU 96(AX), Y3
	VMOVDQU 128(AX), Y4
	VMOVDQU 160(AX), Y5
	VMOVDQU 192(AX), Y6
	VMOVDQU 224(AX), Y7
	TESTQ   CX, CX
	JZ      done
	PCALIGN $32

loop:
	MUL2(Y0, Y8)
	MUL2(Y1, Y9)
	MUL2(Y2, Y10)
	MUL2(Y3, Y11)
	MUL2(Y4, Y8)
	MUL2(Y5, Y9)
	MUL2(Y6, Y10)
	MUL2(Y7, Y11)
	DECQ CX
	JNZ  loop

done:
	VMOVDQU Y0, 0(AX)
	VMOVDQU Y1, 32(AX)
	VMOVDQU Y2, 64(AX)
	VMOVDQU Y3, 96(AX)
	VMOVDQU Y4, 128(AX)
	VMOVDQU Y5, 160(AX)
	VMOVDQU Y6, 192(AX)
	VMOVDQU Y7, 224(AX)
	ADDQ    $256, AX
	DECQ    DX
	JNZ     pass
	VZEROUPPER
	RET

// $0x96 is the truth table of a three-input exclusive or.
#define MUL5(x, t) \
	VPMULLD    Z13, x, x \
	VPADDD     Z14, x, x \
	VPSRLD     $15, x, t \
	VPTERNLOGD $0x96, t, Z15, x \
	VPROLD     $7, x, x

// func multiplyAVX512(s *multiplyState, steps int)
TEXT ·multiplyAVX512(SB), NOSPLIT, $0-16
	MOVQ         s+0(FP), AX
	MOVQ         steps+8(FP), CX
	VPBROADCASTD 512(AX), Z13
	VPBROADCASTD 516(AX), Z14
	VPBROADCASTD 520(AX), Z15
	VMOVDQU32    0(AX), Z0
	VMOVDQU32    64(AX), Z1
	VMOVDQU32    128(AX), Z2
	VMOVDQU32    192(AX), Z3
	VMOVDQU32    256(AX), Z4
	VMOVDQU32    320(AX), Z5
	VMOVDQU32    384(AX), Z6
	VMOVDQU32    448(AX), Z7
	TESTQ        CX, CX
	JZ           done
	PCALIGN      $32

loop:
	MUL5(Z0, Z8)
	MUL5(Z1, Z9)
	MUL5(Z2, Z10)
	MUL5(Z3, Z11)
	MUL5(Z4, Z8)
	MUL5(Z5, Z9)
	MUL5(Z6, Z10)
	MUL5(Z7, Z11)
	DECQ CX
	JNZ  loop

done:
	VMOVDQU32 Z0, 0(AX)
	VMOVDQU32 Z1, 64(AX)
	VMOVDQU32 Z2, 128(AX)
	VMOVDQU32 Z3, 192(AX)
	VMOVDQU32 Z4, 256(AX)
	VMOVDQU32 Z5, 320(AX)
	VMOVDQU32 Z6, 384(AX)
	VMOVDQU32 Z7, 448(AX)
	VZEROUPPER
	RET

// lo = k + low52(x*m); hi = k + high52(x*m); x = lo ^ rotl(hi, 20).
#define EXACT(x, lo, hi) \
	VMOVDQA64   Z25, lo \
	VMOVDQA64   Z25, hi \
	VPMADD52LUQ Z24, x, lo \
	VPMADD52HUQ Z24, x, hi \
	VPROLQ      $20, hi, hi \
	VPXORQ      hi, lo, x

// func exactAVX512(s *exactState, steps int)
TEXT ·exactAVX512(SB), NOSPLIT, $0-16
	MOVQ         s+0(FP), AX
	MOVQ         steps+8(FP), CX
	VPBROADCASTQ 768(AX), Z24
	VPBROADCASTQ 776(AX), Z25
	VMOVDQU64    0(AX), Z0
	VMOVDQU64    64(AX), Z1
	VMOVDQU64    128(AX), Z2
	VMOVDQU64    192(AX), Z3
	VMOVDQU64    256(AX), Z4
	VMOVDQU64    320(AX), Z5
	VMOVDQU64    384(AX), Z6
	VMOVDQU64    448(AX), Z7
	VMOVDQU64    512(AX), Z8
	VMOVDQU64    576(AX), Z9
	VMOVDQU64    640(AX), Z10
	VMOVDQU64    704(AX), Z11
	TESTQ        CX, CX
	JZ           done
	PCALIGN      $32

loop:
	EXACT(Z0, Z12, Z13)
	EXACT(Z1, Z14, Z15)
	EXACT(Z2, Z16, Z17)
	EXACT(Z3, Z18, Z19)
	EXACT(Z4, Z20, Z21)
	EXACT(Z5, Z22, Z23)
	EXACT(Z6, Z12, Z13)
	EXACT(Z7, Z14, Z15)
	EXACT(Z8, Z16, Z17)
	EXACT(Z9, Z18, Z19)
	EXACT(Z10, Z20, Z21)
	EXACT(Z11, Z22, Z23)
	DECQ CX
	JNZ  loop

done:
	VMOVDQU64 Z0, 0(AX)
	VMOVDQU64 Z1, 64(AX)
	VMOVDQU64 Z2, 128(AX)
	VMOVDQU64 Z3, 192(AX)
	VMOVDQU64 Z4, 256(AX)
	VMOVDQU64 Z5, 320(AX)
	VMOVDQU64 Z6, 384(AX)
	VMOVDQU64 Z7, 448(AX)
	VMOVDQU64 Z8, 512(AX)
	VMOVDQU64 Z9, 576(AX)
	VMOVDQU64 Z10, 640(AX)
	VMOVDQU64 Z11, 704(AX)
	VZEROUPPER
	RET
