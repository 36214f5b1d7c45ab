export const PAGE = "<!doctype html><title>x</title>";
export const ICON = "<svg/>";
