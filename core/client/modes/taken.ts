// What became of a request.

/** It is seen to. */
export const TAKEN = 0;
/** It has to wait until the earlier ones are answered. */
export const LATER = 1;
/** The mode has nothing to say about it. */
export const ORDINARY = 2;
