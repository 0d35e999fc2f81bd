// Package drill exercises the CPUs of a machine: a worker process for each logical
// CPU, tied to it, does kernels of package cpu in short slots, each with new seeds,
// in an order drawn by lot, in several modes: all CPUs at once, one alone while the
// others idle, the threads of one core, one after the other, and in bursts. One more
// worker passes messages, locks and time stamps between CPUs.
//
// What comes out is compared with known answers, between CPUs, and over time. A
// mismatch is tried again on the same CPU and on two others, so that the report
// names the CPU that it follows.
package drill
