"""Labels that students are trained with: hard, static, dynamic, or dynamic labels stored before training (fkd)."""
