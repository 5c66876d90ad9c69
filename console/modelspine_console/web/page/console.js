// The token in the address was used by loading this page. It is taken out, so that loading the page again works.
history.replaceState(null, "", "/");
addEventListener("DOMContentLoaded", () => {
  document.getElementById("restart").addEventListener("click", () => location.reload());
  // Keys go to the terminal from the start, without a click into it.
  const waiting = setInterval(() => {
    const terminal = document.querySelector(".xterm-helper-textarea");
    if (terminal) {
      terminal.focus();
      clearInterval(waiting);
    }
  }, 50);
});
