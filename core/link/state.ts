// The states of a link, which are those of its socket.
//
//   | state      | what happens                                   | next       |
//   | CLOSED     | the first request at the end of its turn       | CONNECTING |
//   | CONNECTING | the socket is there                            | GREETING, or READY without one |
//   | GREETING   | every reply to the greeting has come           | READY      |
//   | any        | lost, refused, timed out, garbage: `close`     | CLOSED     |

/** No socket; the next request opens one. */
export const CLOSED = 0;
export const CONNECTING = 1;
/** The greeting is on its way; requests wait for the replies to it. */
export const GREETING = 2;
export const READY = 3;
